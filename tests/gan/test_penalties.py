"""Penalties on a linear discriminator, whose gradient is its weight everywhere."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from gantune.config import GradientPenaltyConfig, R1Config, WeightClipConfig
from gantune.gan.penalties import PENALTIES, gradient_penalty, r1, weight_clip

weights = st.lists(st.floats(-3, 3), min_size=4, max_size=4).filter(
    lambda w: max(map(abs, w)) > 1e-3
)


class Linear(nn.Module):
    def __init__(self, weight: list[float]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.weight


class Quadratic(nn.Module):
    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).square().sum(1) / 2  # its gradient is the image itself


def images(value: float = 0.5) -> Tensor:
    return torch.full((5, 1, 2, 2), value, dtype=torch.float64)


def rng() -> torch.Generator:
    return torch.Generator().manual_seed(0)


@given(weight=weights)
def test_gradient_penalty_and_its_gradient(weight: list[float]) -> None:
    network = Linear(weight)
    penalty = gradient_penalty(
        network, images(), images(-1), GradientPenaltyConfig(weight=7.0), rng()
    )
    w = network.weight.detach()
    assert penalty.item() == pytest.approx(7 * (w.norm().item() - 1) ** 2, abs=1e-9)
    (gradient,) = torch.autograd.grad(penalty, network.weight)
    torch.testing.assert_close(gradient, 14 * (w.norm() - 1) * w / w.norm())


@given(weight=weights)
def test_r1_and_its_gradient(weight: list[float]) -> None:
    network = Linear(weight)
    penalty = r1(network, images(), images(-1), R1Config(weight=4.0), rng())
    w = network.weight.detach()
    assert penalty.item() == pytest.approx(2 * w.square().sum().item())
    (gradient,) = torch.autograd.grad(penalty, network.weight)
    torch.testing.assert_close(gradient, 4 * w)


def test_r1_looks_at_real_images_alone() -> None:
    penalty = r1(Quadratic(), images(0.5), images(9.0), R1Config(weight=2.0), rng())
    assert penalty.item() == pytest.approx(4 * 0.5**2)


def test_gradient_penalty_lies_between_the_two() -> None:
    config = GradientPenaltyConfig(weight=1.0)
    penalty = gradient_penalty(Quadratic(), images(0.0), images(1.0), config, rng())
    shares = torch.rand((5, 1, 1, 1), generator=rng(), dtype=torch.float64).flatten()
    assert penalty.item() == pytest.approx((2 * shares - 1).square().mean().item())


@pytest.mark.parametrize("name", PENALTIES)
def test_a_dead_discriminator_gives_no_nan(name: str) -> None:
    network = Linear([0.0] * 4)
    config = {"gradient_penalty": GradientPenaltyConfig(), "r1": R1Config()}[name]
    penalty = PENALTIES[name](network, images(), images(-1), config, rng())
    (gradient,) = torch.autograd.grad(penalty, network.weight)
    assert penalty.isfinite() and gradient.isfinite().all()


def test_weight_clip() -> None:
    parameters: list[Tensor] = [nn.Parameter(torch.tensor([-2.0, 0.01, 2.0])), torch.ones(2, 2)]
    weight_clip(parameters, WeightClipConfig(limit=0.1))
    torch.testing.assert_close(parameters[0].detach(), torch.tensor([-0.1, 0.01, 0.1]))
    torch.testing.assert_close(parameters[1], torch.full((2, 2), 0.1))
