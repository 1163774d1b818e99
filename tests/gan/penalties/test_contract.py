"""What holds for every penalty that is added to D's loss."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from gantune.config.sections import PenaltiesConfig
from gantune.gan.penalties.regularizer import PENALTIES
from tests.gan.penalties.steps import Plane, TwoLayers, random_images, step_of


def settings(name: str, **given: Any) -> Any:
    return getattr(PenaltiesConfig.model_validate({name: given}), name)


def test_all_penalties_of_the_config_are_here() -> None:
    assert {"weight_clip", *PENALTIES} == set(PenaltiesConfig.model_fields)


@pytest.mark.parametrize("name", PENALTIES)
def test_a_finite_scalar_that_is_never_negative(name: str) -> None:
    penalty = PENALTIES[name](step_of(TwoLayers()), settings(name))
    assert penalty.shape == () and penalty.isfinite() and penalty > 0


@pytest.mark.parametrize("name", PENALTIES)
def test_weight_and_interval_are_left_to_the_caller(name: str) -> None:
    def value(**given: Any) -> float:
        return PENALTIES[name](step_of(TwoLayers()), settings(name, **given)).item()

    assert value(weight=0.0, interval=1) == value(weight=100.0, interval=32) > 0


@pytest.mark.parametrize("name", PENALTIES)
def test_gradients_by_the_weights_match_finite_differences(name: str) -> None:
    network = TwoLayers()

    def penalty(*_: torch.Tensor) -> torch.Tensor:
        return PENALTIES[name](step_of(network), settings(name))

    assert torch.autograd.gradcheck(penalty, tuple(network.parameters()))


@pytest.mark.parametrize("name", PENALTIES)
def test_a_dead_discriminator_gives_no_nan(name: str) -> None:
    network = Plane([0.0] * 4)
    penalty = PENALTIES[name](step_of(network), settings(name))
    if penalty.requires_grad:
        penalty.backward()
        assert network.slope.grad is not None and network.slope.grad.isfinite().all()
    assert penalty.isfinite()


@pytest.mark.parametrize("name", [name for name in PENALTIES if name != "consistency"])
def test_points_work_like_images(name: str) -> None:
    network = TwoLayers(inputs=2)
    step = step_of(network, random_images(2, (6, 2)))
    assert PENALTIES[name](step, settings(name)).isfinite()


@pytest.mark.parametrize("name", PENALTIES)
def test_random_numbers_come_only_from_the_step(name: str) -> None:
    network = TwoLayers()
    before = torch.random.get_rng_state()
    values = {PENALTIES[name](step_of(network), settings(name)).item() for _ in range(2)}
    assert len(values) == 1 and torch.equal(torch.random.get_rng_state(), before)
