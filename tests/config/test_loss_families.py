"""The facts of each loss agree with the losses themselves."""

from __future__ import annotations

from typing import get_args

import pytest
import torch

from gantune.config import TrialConfig
from gantune.config.loss_families import LOSSES as FACTS
from gantune.config.loss_families import loss_facts
from gantune.gan.losses import LOSSES, make_loss

# The logit of a discriminator that cannot tell real from fake; for a critic any value will do.
NEUTRAL_LOGIT = {
    "minimax": 0.0,
    "vanilla": 0.0,
    "wgan": 0.7,
    "hinge": 0.0,
    "lsgan": 0.5,
    "relativistic": 0.7,
}


def test_config_losses_and_facts_have_the_same_names() -> None:
    named = get_args(TrialConfig.model_fields["loss"].annotation)
    assert set(named) == set(LOSSES) == set(FACTS)


@pytest.mark.parametrize("name", FACTS)
def test_neutral_values_are_those_of_the_losses(name: str) -> None:
    logits = torch.full((5,), NEUTRAL_LOGIT[name], dtype=torch.float64)
    loss, facts = LOSSES[name], FACTS[name]
    assert loss.discriminator(logits, logits).item() == pytest.approx(facts.discriminator_neutral)
    if facts.family != "critic":
        assert loss.generator(logits, logits).item() == pytest.approx(facts.generator_neutral)


@pytest.mark.parametrize("name", [n for n, facts in FACTS.items() if facts.family == "probability"])
def test_no_constant_discriminator_beats_the_neutral_value(name: str) -> None:
    for logit in torch.linspace(-3, 3, 13, dtype=torch.float64):
        loss = LOSSES[name].discriminator(logit.expand(4), logit.expand(4)).item()
        assert loss >= FACTS[name].discriminator_neutral - 1e-12


@pytest.mark.parametrize("name", [n for n, facts in FACTS.items() if facts.family == "margin"])
def test_a_margin_loss_ends_at_zero(name: str) -> None:
    # The fakes lie as far below the threshold as the real images lie above it.
    threshold = FACTS[name].threshold
    assert threshold is not None
    real, fake = torch.ones(4), torch.full((4,), 2 * threshold - 1)
    assert LOSSES[name].discriminator(real, fake).item() == 0


@pytest.mark.parametrize("name", FACTS)
def test_without_a_threshold_only_differences_count(name: str) -> None:
    real, fake = torch.tensor([0.3, -1.2]), torch.tensor([-0.4, 0.9])
    loss = LOSSES[name].discriminator
    moved = torch.isclose(loss(real, fake), loss(real + 5, fake + 5))
    assert bool(moved) == (FACTS[name].threshold is None)


@pytest.mark.parametrize("name", [n for n, facts in FACTS.items() if facts.threshold is not None])
def test_gradients_of_real_and_generated_are_equal_at_the_threshold(name: str) -> None:
    threshold = FACTS[name].threshold
    assert threshold is not None
    logit = torch.full((4,), threshold, requires_grad=True)
    LOSSES[name].discriminator(logit, logit).backward()
    assert logit.grad is not None and logit.grad.abs().max() < 1e-6


@pytest.mark.parametrize("smoothing", [0.1, 0.3])
@pytest.mark.parametrize("name", ["minimax", "vanilla", "lsgan"])
def test_smoothed_labels_change_neutral_values(name: str, smoothing: float) -> None:
    facts = loss_facts(name, smoothing)
    loss = make_loss(TrialConfig(loss=name, label_smoothing=smoothing))  # type: ignore[arg-type]
    assert facts.threshold is not None
    constant = torch.full((5,), facts.threshold, dtype=torch.float64)
    neutral = facts.discriminator_neutral
    assert loss.discriminator(constant, constant).item() == pytest.approx(neutral)
    assert loss.generator(constant, constant).item() == pytest.approx(facts.generator_neutral)
    for other in (-0.1, 0.1):  # no other constant is better
        assert loss.discriminator(constant + other, constant + other).item() > neutral
    real = torch.linspace(-9, 9, 20_001, dtype=torch.float64)
    fake = torch.full_like(real, -60.0 if name != "lsgan" else 0.0)
    least = min(loss.discriminator(r, f).item() for r, f in zip(real[::10], fake, strict=False))
    assert least == pytest.approx(facts.discriminator_floor, abs=1e-4)


def test_losses_without_targets_do_not_change() -> None:
    for name in ("wgan", "hinge", "relativistic"):
        assert loss_facts(name, 0.2) == FACTS[name]
