"""The EMA of the generator."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from gantune.gan.weights import Ema, ema_weight


def test_the_previous_average_counts_half_after_a_half_life() -> None:
    kept = 1.0
    for seen in range(100_000, 101_000, 50):
        kept *= 1 - ema_weight(1.0, 1.0, seen, 50)
    assert kept == pytest.approx(0.5)


def test_the_half_life_is_ramped() -> None:
    assert ema_weight(10.0, 0.05, 2000, 100) == pytest.approx(0.5)  # 5% of 2,000 images are 100
    assert ema_weight(10.0, 0.05, 10**9, 100) == pytest.approx(1 - 0.5**0.01)


@given(
    half_life=st.floats(0, 1e5),
    ramp=st.floats(1e-3, 1),
    seen=st.integers(1, 10**9),
    shown=st.integers(1, 10**6),
)
def test_the_weight_is_a_share(half_life: float, ramp: float, seen: int, shown: int) -> None:
    assert 0 <= ema_weight(half_life, ramp, seen, shown) <= 1


def test_weights_and_buffers_are_averaged_and_counts_copied() -> None:
    source = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    ema = Ema(source)
    assert not ema.generator.training
    before = {name: value.clone() for name, value in ema.generator.state_dict().items()}
    source(torch.randn(8, 2))
    with torch.no_grad():
        source[0].weight.add_(1)
    ema.update(0.5)
    after, newest = ema.generator.state_dict(), source.state_dict()
    assert after["1.num_batches_tracked"] == 1
    for name in ("0.weight", "1.running_mean"):
        torch.testing.assert_close(after[name], (before[name] + newest[name]) / 2)
    assert not any(parameter.requires_grad for parameter in ema.generator.parameters())


def test_no_half_life_means_no_average() -> None:
    source = nn.Linear(2, 3)
    ema = Ema(source)
    with torch.no_grad():
        source.weight.add_(1)
    ema.update(ema_weight(0.0, 0.05, 1000, 10))
    assert torch.equal(ema.generator.state_dict()["weight"], source.weight)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_batch_that_is_not_finite_leaves_no_trace_in_the_statistics(value: float) -> None:
    source = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.BatchNorm1d(3))
    ema = Ema(source)
    source(torch.randn(8, 2))
    ema.update(0.5)
    former = {name: kept.clone() for name, kept in ema.generator.named_buffers()}
    source(torch.full((8, 2), value))
    ema.update(0.5)
    for network in (ema.generator, source):
        for name, found in network.named_buffers():
            if "running" in name:
                assert torch.equal(found, former[name])
    source(torch.randn(8, 2))
    assert not torch.equal(source.state_dict()["1.running_mean"], former["1.running_mean"])
