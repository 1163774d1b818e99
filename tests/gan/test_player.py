"""One step of a player."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn

from gantune.config import GeneratorConfig
from gantune.gan.player import Player


def player() -> Player:
    torch.manual_seed(0)
    return Player(nn.Linear(3, 1), GeneratorConfig(lr=0.01))


def test_a_step_is_adams() -> None:
    ours, images = player(), torch.randn(5, 3)
    theirs = copy.deepcopy(ours.network)
    adam = torch.optim.Adam(theirs.parameters(), lr=0.01, betas=(0.5, 0.999))
    for _ in range(3):
        update = ours.step(ours.network(images).square().mean())
        adam.zero_grad()
        theirs(images).square().mean().backward()
        gradient = torch.cat([p.grad.flatten() for p in theirs.parameters() if p.grad is not None])
        adam.step()
        assert update.norm.item() == pytest.approx(gradient.norm().item())
        assert update.skipped.item() == 0
    for a, b in zip(ours.network.parameters(), theirs.parameters(), strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_a_gradient_that_is_not_finite_changes_nothing(factor: float) -> None:
    ours, images = player(), torch.randn(5, 3)
    ours.step(ours.network(images).mean())
    before = copy.deepcopy(ours.state_dict())
    update = ours.step(ours.network(images).mean() * factor)
    assert update.skipped.item() == 1
    assert not update.norm.isfinite()
    torch.testing.assert_close(ours.state_dict(), before, rtol=0, atol=0)
    assert ours.step(ours.network(images).mean()).skipped.item() == 0


def test_only_its_own_weights_get_gradients() -> None:
    ours, other = player(), nn.Linear(3, 3)
    ours.step(ours.network(other(torch.randn(5, 3))).mean())
    assert all(weight.grad is None for weight in other.parameters())
