"""Optimizer steps of a player."""

from __future__ import annotations

import copy
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gantune.config.sections import GeneratorConfig
from gantune.gan.optimizers import make_optimizer
from gantune.gan.player import Player, StepStats

OPTIMIZERS = ["adam", "adamw", "rmsprop", "sgd", "adam, moving", "adamw, moving"]
"""``moving``: with a beta2 that lies on the device."""


def player(
    scaled: bool = False, parts: int = 1, optimizer: str = "adam", **settings: Any
) -> Player:
    torch.manual_seed(0)
    name, _, moving = optimizer.partition(", ")
    config = GeneratorConfig.model_validate({"lr": 0.01, "optimizer": name, **settings})
    return Player(nn.Linear(3, 1), config, parts, scaled=scaled, moves_beta2=bool(moving))


def step(ours: Player, loss: Tensor, rate: float = 1.0) -> StepStats:
    ours.backward(loss)
    return ours.step(rate, ours.config.beta2)


def assert_same_weights(ours: Player, theirs: nn.Module) -> None:
    for a, b in zip(ours.network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


def plain(name: str, weights: list[nn.Parameter], lr: float, decay: float) -> torch.optim.Optimizer:
    match name.partition(", ")[0]:
        case "adam":
            return torch.optim.Adam(weights, lr, (0.5, 0.9), weight_decay=decay)
        case "adamw":
            return torch.optim.AdamW(weights, lr, (0.5, 0.9), weight_decay=decay)
        case "rmsprop":
            return torch.optim.RMSprop(weights, lr, alpha=0.9, weight_decay=decay)
        case _:
            return torch.optim.SGD(weights, lr, momentum=0.5, weight_decay=decay)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_equals_torchs_optimizer(name: str, decay: float, scaled: bool) -> None:
    ours = player(scaled, optimizer=name, beta2=0.9, weight_decay=decay)
    images, theirs = torch.randn(5, 3), copy.deepcopy(ours.network)
    optimizer = plain(name, list(theirs.parameters()), 0.01, decay)
    for _ in range(3):
        update = step(ours, ours.network(images).square().mean())
        optimizer.zero_grad()
        theirs(images).square().mean().backward()
        gradient = torch.cat([p.grad.flatten() for p in theirs.parameters() if p.grad is not None])
        optimizer.step()
        assert update.norm.item() == pytest.approx(gradient.norm().item())
        assert update.skipped.item() == 0
    assert_same_weights(ours, theirs)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("factor", [math.nan, math.inf])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_gradient_that_is_not_finite_changes_nothing(
    name: str, factor: float, first: bool
) -> None:
    ours, undisturbed = player(optimizer=name), player(optimizer=name)
    images = torch.randn(5, 3)
    if not first:
        for one in (ours, undisturbed):
            step(one, one.network(images).square().mean())
    update = step(ours, ours.network(images).mean() * factor)
    assert update.skipped.item() == 1
    assert not update.norm.isfinite()
    assert_same_weights(ours, undisturbed.network)
    for one in (ours, undisturbed):  # the moments were left alone too
        assert step(one, one.network(images).square().mean()).skipped.item() == 0
    assert_same_weights(ours, undisturbed.network)


def test_parts_of_a_batch_add_up() -> None:
    ours, whole, images = player(parts=3), player(), torch.randn(6, 3)
    for part in images.split(2):
        ours.backward(ours.network(part).square().mean())
    ours.step(1.0, 0.999)
    step(whole, whole.network(images).square().mean())
    assert_same_weights(ours, whole.network)


def test_a_long_gradient_is_clipped_and_a_short_one_is_not() -> None:
    ours, images = player(optimizer="sgd", beta1=0.0, clip_norm=0.5), torch.ones(5, 3)
    for factor, length in ((100.0, 0.5), (0.1, None)):
        before = [weight.detach().clone() for weight in ours.parameters]
        norm = step(ours, factor * ours.network(images).mean()).norm.item()
        moved = torch.cat([(w - b).flatten() for w, b in zip(ours.parameters, before, strict=True)])
        assert moved.norm().item() == pytest.approx(0.01 * (length or norm), rel=1e-3)


@pytest.mark.parametrize("moving", ["", ", moving"])
def test_rate_and_beta2_are_those_of_the_step(moving: str) -> None:
    ours, images = player(optimizer=f"adam{moving}", beta2=0.5), torch.randn(5, 3)
    theirs = copy.deepcopy(ours.network)
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.5, 0.5))
    for rate, beta2 in ((1.0, 0.5), (0.1, 0.9)):
        ours.backward(ours.network(images).square().mean())
        ours.step(rate, torch.tensor(beta2) if moving else beta2)
        optimizer.param_groups[0].update(lr=0.01 * rate, betas=(0.5, beta2))
        optimizer.zero_grad()
        theirs(images).square().mean().backward()
        optimizer.step()
    assert_same_weights(ours, theirs)


def test_the_scale_of_a_loss_falls_where_gradients_overflow() -> None:
    ours, images = player(scaled=True), torch.randn(5, 3)
    fine = step(ours, ours.network(images).mean())
    before = copy.deepcopy(ours.state_dict())
    over = step(ours, ours.network(images).mean() * 1e36)
    # Too large a scale is no sign of bad health: the step is left out, but does not count.
    assert over.skipped.item() == 0 and over.norm.item() == fine.norm.item()
    after = ours.state_dict()
    assert after["scaler"]["scale"] == before["scaler"]["scale"] / 2
    torch.testing.assert_close(after["network"], before["network"], rtol=0, atol=0)
    other = player(scaled=True)
    other.load_state_dict(after)
    assert other.state_dict()["scaler"] == after["scaler"]


def test_non_finite_gradients_at_the_smallest_scale_count() -> None:
    ours, images = player(scaled=True), torch.randn(5, 3)
    skipped = [step(ours, ours.network(images).mean() * math.nan).skipped.item() for _ in range(20)]
    assert skipped == [0.0] * 16 + [1.0] * 4  # from 65,536 down to 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_resuming_a_player_is_exact(name: str) -> None:
    ours, images = player(optimizer=name), torch.randn(5, 3)
    step(ours, ours.network(images).square().mean())
    other = player(optimizer=name)
    other.load_state_dict(copy.deepcopy(ours.state_dict()))
    for one in (ours, other):
        step(one, one.network(images).square().mean())
    torch.testing.assert_close(ours.state_dict(), other.state_dict(), rtol=0, atol=0)


@pytest.mark.parametrize("name", ["rmsprop", "adam, moving", "adamw, moving"])
def test_a_state_comes_to_the_device_of_the_weights(name: str) -> None:
    """A checkpoint may lie in the machine's memory; ``meta`` plays another device."""
    ours = player(optimizer=name)
    step(ours, ours.network(torch.randn(5, 3)).square().mean())
    weights = [weight.detach().to("meta") for weight in ours.parameters]
    other = make_optimizer(weights, ours.config, moves_beta2=name.endswith("moving"))
    settings = other.state_dict()["param_groups"]
    other.load_state_dict({"state": ours.state_dict()["optimizer"], "param_groups": settings})
    devices = {value.device.type for kept in other.state.values() for value in kept.values()}
    assert devices == {"meta"}


def test_only_its_own_weights_get_gradients() -> None:
    ours, other = player(), nn.Linear(3, 3)
    step(ours, ours.network(other(torch.randn(5, 3))).mean())
    assert all(weight.grad is None for weight in other.parameters())
