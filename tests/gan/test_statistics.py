"""From sums on the device to the numbers of a tick."""

from __future__ import annotations

import math

import pytest
import torch

from gantune.gan.player import StepStats
from gantune.gan.statistics import TickStatistics

CPU = torch.device("cpu")


def update(norm: float, skipped: float = 0.0) -> StepStats:
    return StepStats(torch.tensor(norm), torch.tensor(skipped))


def scalar(value: float) -> torch.Tensor:
    return torch.tensor(value)


def test_means_over_all_steps_of_each_player() -> None:
    statistics = TickStatistics(CPU)
    images = torch.tensor([[[-1.0], [1.0]], [[-0.5], [0.5]]])  # fake ones half as far apart
    for loss, shift in ((1.0, 0.0), (3.0, 2.0)):
        logits = torch.tensor([[1.0, 3.0], [-2.0, 0.0]]) + shift
        statistics.add_discriminator(scalar(loss), logits, images)
        statistics.add_step("d", update(4 * loss))
    statistics.add_generator(scalar(0.5))
    statistics.add_step("g", update(7.0))
    means = statistics.means()
    assert means["d_loss"] == 2 and means["g_loss"] == 0.5
    assert means["d_grad"] == 8 and means["g_grad"] == 7
    assert means["d_real"] == 3 and means["d_fake"] == 0
    assert means["d_real_std"] == means["d_fake_std"] == pytest.approx(math.sqrt(2))
    assert means["d_real_sign"] == 1
    assert means["d_fake_sign"] == pytest.approx((-0.5 + 0.5) / 2)
    assert means["spread"] == pytest.approx(0.5)
    assert means["non_finite"] == 0 and means["penalties"] == {}


def test_each_signal_counts_its_own_steps() -> None:
    """Accumulation: two batches of D for one step of its optimizer."""
    statistics, zeros = TickStatistics(CPU), torch.zeros(2, 2)
    for loss in (1.0, 3.0):
        statistics.add_discriminator(scalar(loss), zeros, zeros[..., None])
        statistics.add_generator(scalar(2 * loss))
    statistics.add_step("d", update(5.0))
    statistics.add_step("g", update(6.0))
    means = statistics.means()
    assert (means["d_loss"], means["g_loss"]) == (2, 4)
    assert (means["d_grad"], means["g_grad"]) == (5, 6)


def test_penalties_are_means_over_the_steps_that_had_them() -> None:
    statistics, zeros = TickStatistics(CPU), torch.zeros(2, 2)
    for step in range(4):
        penalties = {"r1": scalar(float(step))} if step % 2 else {}
        statistics.add_discriminator(scalar(1.0), zeros, zeros[..., None], penalties)
        statistics.add_step("d", update(1.0))
    statistics.add_generator(scalar(1.0))
    statistics.add_step("g", update(1.0))
    assert statistics.means()["penalties"] == {"r1": 2.0}


@pytest.mark.parametrize(("g_skipped", "share"), [(0.0, 2 / 5), (1.0, 1.0)])
def test_the_player_that_skipped_more_counts(g_skipped: float, share: float) -> None:
    statistics, zeros = TickStatistics(CPU), torch.zeros(2, 2)
    for skipped in (0.0, 1.0, 0.0, 1.0, 0.0):
        statistics.add_discriminator(scalar(1.0), zeros, zeros[..., None])
        statistics.add_step("d", update(1.0, skipped))
    statistics.add_generator(scalar(math.nan))
    statistics.add_step("g", update(math.inf, g_skipped))
    means = statistics.means()
    assert means["non_finite"] == pytest.approx(share)
    assert math.isnan(means["g_loss"]) and math.isinf(means["g_grad"])


@pytest.mark.parametrize(("value", "spread"), [(0.0, 1.0), (math.nan, math.nan)])
def test_images_without_variety(value: float, spread: float) -> None:
    statistics = TickStatistics(CPU)
    images = torch.full((2, 3, 4), value)
    statistics.add_discriminator(scalar(1.0), torch.zeros(2, 3), images)
    statistics.add_step("d", update(1.0))
    statistics.add_generator(scalar(1.0))
    statistics.add_step("g", update(1.0))
    assert statistics.means()["spread"] == pytest.approx(spread, nan_ok=True)
