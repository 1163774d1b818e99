"""Penalties on the input gradient, against the papers' equations on gradients known by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from gantune.config.sections import (
    DraganConfig,
    GradientPenaltyConfig,
    R1Config,
    R1R2Config,
    R2Config,
)
from gantune.gan.penalties.gradients import auto_weight, dragan, gradient_penalty, r1, r1_r2, r2
from tests.gan.penalties.steps import Bowl, Plane, TwoLayers, random_images, step_of

slopes = st.lists(st.floats(-3, 3), min_size=4, max_size=4).filter(
    lambda slope: max(map(abs, slope)) > 1e-3
)


def full(value: float) -> Tensor:
    return torch.full((5, 1, 2, 2), value, dtype=torch.float64)


@given(slope=slopes)
def test_gradient_penalty_of_a_plane(slope: list[float]) -> None:
    network = Plane(slope)
    penalty = gradient_penalty(step_of(network), GradientPenaltyConfig())
    a = network.slope.detach()
    assert penalty.item() == pytest.approx((a.norm().item() - 1) ** 2, abs=1e-9)
    (gradient,) = torch.autograd.grad(penalty, network.slope)
    torch.testing.assert_close(gradient, 2 * (a.norm() - 1) * a / a.norm())


@given(slope=slopes)
def test_one_sided_gradient_penalty_ignores_small_norms(slope: list[float]) -> None:
    penalty = gradient_penalty(step_of(Plane(slope)), GradientPenaltyConfig(one_sided=True))
    norm = torch.tensor(slope, dtype=torch.float64).norm().item()
    assert penalty.item() == pytest.approx(max(0.0, norm - 1) ** 2, abs=1e-9)


def test_gradient_penalty_lies_anywhere_between_the_two() -> None:
    # The gradient at share s of the way from 0 to 1 is s in each of 4 dimensions.
    number = 4000
    zeros, ones = (torch.full((number, 1, 2, 2), v, dtype=torch.float64) for v in (0.0, 1.0))
    penalty = gradient_penalty(step_of(Bowl(), zeros, ones), GradientPenaltyConfig()).item()
    # The mean over uniform s of (2 s - 1)^2 is 1/3, with a standard deviation of 0.3.
    assert penalty == pytest.approx(1 / 3, abs=4 * 0.3 / number**0.5)


@given(slope=slopes)
def test_dragan_of_a_plane(slope: list[float]) -> None:
    penalty = dragan(step_of(Plane(slope)), DraganConfig())
    norm = torch.tensor(slope, dtype=torch.float64).norm().item()
    assert penalty.item() == pytest.approx((norm - 1) ** 2, abs=1e-9)


@pytest.mark.parametrize("noise", [0.5, 2.0])
def test_dragan_stays_near_real_images(noise: float) -> None:
    real = random_images(4, (4000, 1, 1, 1))
    seen: list[Tensor] = []
    step = step_of(Bowl(), real)

    def discriminate(images: Tensor) -> Tensor:
        seen.append(images.detach())
        return Bowl()(images)

    dragan(replace(step, discriminate=discriminate), DraganConfig(noise=noise))
    away = (seen[0] - real) / (noise * real.std())
    # A product of two uniform numbers: mean 1/4, variance 1/9 - 1/16, all below 1.
    assert away.min() >= 0 and 0.9 < away.max() < 1
    assert away.mean().item() == pytest.approx(1 / 4, abs=4 * 0.22 / 4000**0.5)


@pytest.mark.parametrize(("one_sided", "expected"), [(False, (2 * 0.25 - 1) ** 2), (True, 0.0)])
def test_gradient_penalty_depends_on_real_and_generated_images(
    one_sided: bool, expected: float
) -> None:
    config = GradientPenaltyConfig(one_sided=one_sided)
    same = step_of(Bowl(), full(0.25), full(0.25))
    assert gradient_penalty(same, config).item() == pytest.approx(expected)


@given(slope=slopes)
def test_r1_r2_and_both_of_a_plane(slope: list[float]) -> None:
    network = Plane(slope)
    step, a = step_of(network), network.slope.detach()
    for penalty, share in (
        (r1(step, R1Config()), 0.5),
        (r2(step, R2Config()), 0.5),
        (r1_r2(step, R1R2Config()), 1.0),
    ):
        assert penalty.item() == pytest.approx(share * a.square().sum().item())
        (gradient,) = torch.autograd.grad(penalty, network.slope)
        torch.testing.assert_close(gradient, 2 * share * a)


def test_r1_uses_real_images_and_r2_generated_ones() -> None:
    step = step_of(Bowl(), full(0.5), full(2.0))
    assert r1(step, R1Config()).item() == pytest.approx(4 * 0.5**2 / 2)
    assert r2(step, R2Config()).item() == pytest.approx(4 * 2.0**2 / 2)
    assert r1_r2(step, R1R2Config()).item() == pytest.approx(4 * (0.5**2 + 2.0**2) / 2)


def test_two_layers_differentiated_by_hand() -> None:
    network = TwoLayers()
    step = step_of(network)
    real, fake = (network.gradient(images).square().sum(1) for images in (step.real, step.fake))
    assert r1(step, R1Config()).item() == pytest.approx(real.mean().item() / 2)
    assert r2(step, R2Config()).item() == pytest.approx(fake.mean().item() / 2)
    assert r1_r2(step, R1R2Config()).item() == pytest.approx((real + fake).mean().item() / 2)
    # With real and generated images alike, all places between them are one.
    same = step_of(network, step.real, step.real)
    excess = real.sqrt() - 1
    two_sided = gradient_penalty(same, GradientPenaltyConfig())
    one_sided = gradient_penalty(same, GradientPenaltyConfig(one_sided=True))
    assert two_sided.item() == pytest.approx(excess.square().mean().item())
    assert one_sided.item() == pytest.approx(excess.clamp(min=0).square().mean().item())


def test_r1_r2_runs_the_discriminator_once() -> None:
    asked: list[int] = []

    def discriminate(images: Tensor) -> Tensor:
        asked.append(len(images))
        return Bowl()(images)

    r1_r2(replace(step_of(Bowl()), discriminate=discriminate), R1R2Config())
    assert asked == [10]


def test_auto_weight() -> None:
    # Karras et al. 2020: 256 pixels at batch 64 give gamma 0.2048, 1024 pixels at 32 give 6.5536.
    assert auto_weight(256, 64) == pytest.approx(0.2048)
    assert auto_weight(1024, 32) == pytest.approx(6.5536)
