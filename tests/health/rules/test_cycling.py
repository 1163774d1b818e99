from __future__ import annotations

import math
import random

import pytest

from gantune.config.loss_families import LOSSES
from tests.health.runs import Ticks, calm, judged

BOUNDED = [name for name, facts in LOSSES.items() if facts.family != "critic"]


def oscillating(loss: str, growth: float, count: int = 80, period: int = 3) -> Ticks:
    """D loss oscillates around its neutral value; every ten ticks the width grows by ``growth``."""
    ticks, rng = calm(loss, count), random.Random(0)
    neutral = LOSSES[loss].discriminator_neutral
    for k, tick in enumerate(ticks):
        width = 0.02 * growth ** (k / 10) * rng.uniform(0.9, 1.1)
        tick["kimg"] = (k + 1) / 2
        tick["d_loss"] = neutral * (1 + width * math.sin(2 * math.pi * k / period))
    return ticks


@pytest.mark.parametrize("loss", BOUNDED)
def test_growing_oscillation_is_stopped(loss: str) -> None:
    verdict = judged(loss, oscillating(loss, 2.2))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("diverged", "cycling")
    assert "D loss oscillates over a width of" in verdict.sentence


@pytest.mark.parametrize("loss", BOUNDED)
@pytest.mark.parametrize("growth", [1.0, 1.2])
def test_oscillation_of_constant_or_slowly_growing_width_is_tolerated(
    loss: str, growth: float
) -> None:
    assert judged(loss, oscillating(loss, growth)) is None


@pytest.mark.parametrize("loss", BOUNDED)
def test_trend_is_not_cycling(loss: str) -> None:
    ticks = calm(loss, 80)
    for k, tick in enumerate(ticks):
        tick["kimg"], tick["d_loss"] = (k + 1) / 2, 0.01 * 1.1**k
    verdict = judged(loss, ticks)
    assert verdict is None or verdict.rule != "cycling"


@pytest.mark.parametrize("seed", range(5))
def test_noise_is_not_cycling(seed: int) -> None:
    ticks, rng = calm("hinge", 80), random.Random(seed)
    for k, tick in enumerate(ticks):
        tick["kimg"], tick["d_loss"] = (k + 1) / 2, rng.gauss(2.0, 1.5)
    assert judged("hinge", ticks) is None


@pytest.mark.parametrize(
    ("preset", "seed"), [("default", 20000), *(("strict", k) for k in (4, 9, 10, 15))]
)
def test_noise_of_a_critic_around_zero_is_not_cycling(preset: str, seed: int) -> None:
    """These runs were stopped while the scale was the median size of the noise itself."""
    assert judged("wgan", calm("wgan", 300, seed), preset, budget=None) is None


def test_growing_oscillation_of_a_critic_is_stopped() -> None:
    ticks, rng = calm("wgan", 80), random.Random(0)
    for k, tick in enumerate(ticks):
        swing = math.sin(2 * math.pi * k / 3) * 2.2 ** (k / 10) * rng.uniform(0.9, 1.1)
        tick["kimg"], tick["d_loss"] = (k + 1) / 2, 0.2 * swing - 1.0
    verdict = judged("wgan", ticks)
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("diverged", "cycling")
