"""The schedule of learning rates and the values that follow it."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.gan.schedule import ScheduledValues, scheduled_values
from tests.gan.builders import config_of


def schedule_of(**schedule: Any) -> Callable[[float], ScheduledValues]:
    return partial(scheduled_values, config_of("mlp", kimg=100.0, schedule=schedule))


def test_by_default_values_are_constant() -> None:
    schedule = schedule_of()
    for kimg in (0.0, 50.0, 100.0, 900.0):
        now = schedule(kimg)
        assert (now.lr_factor, now.penalty_factor, now.ema_half_life) == (1, 1, 10)
        assert now.generator_beta2 == now.discriminator_beta2 == 0.999


@pytest.mark.parametrize(
    ("name", "quarter", "half"),
    [("linear", 0.75, 0.5), ("cosine", (1 + math.cos(math.pi / 4)) / 2, 0.5)],
)
def test_the_curves(name: str, quarter: float, half: float) -> None:
    schedule = schedule_of(name=name)
    rates = [schedule(kimg).lr_factor for kimg in (0.0, 25.0, 50.0, 100.0, 130.0)]
    assert rates == pytest.approx([1, quarter, half, 0, 0])


def test_the_joint_cosine() -> None:
    ends = {"lr_end": 0.25, "beta2_end": 0.99, "penalty_end": 0.1, "ema_half_life_end": 500.0}
    tree = {"name": "cosine", "span": 0.5, **ends}
    config = config_of(
        "mlp",
        kimg=100.0,
        schedule=tree,
        generator={"beta2": 0.9},
        discriminator={"beta2": 0.8},
        ema={"half_life": 0.0},
    )
    schedule = partial(scheduled_values, config)
    middle = schedule(25.0)
    assert middle.lr_factor == pytest.approx(0.625)
    assert middle.generator_beta2 == pytest.approx(0.945)
    assert middle.discriminator_beta2 == pytest.approx(0.895)
    assert middle.penalty_factor == pytest.approx(0.55)
    assert middle.ema_half_life == pytest.approx(250)
    for kimg in (50.0, 75.0, 100.0):  # what was reached stays
        end = schedule(kimg)
        assert (end.lr_factor, end.penalty_factor, end.ema_half_life) == pytest.approx(
            (0.25, 0.1, 500)
        )
        assert end.generator_beta2 == end.discriminator_beta2 == pytest.approx(0.99)


def test_warm_up_multiplies_only_the_rate() -> None:
    schedule = schedule_of(name="linear", warmup=10.0)
    step = 0.008  # kimg: a batch of 8; no step is taken at a rate of 0
    rates = [schedule(kimg).lr_factor for kimg in (0.0, 5.0 - step, 10.0, 20.0)]
    assert rates == pytest.approx([step / 10, 0.5 * 0.95008, 0.9, 0.8])
    assert schedule(5.0).penalty_factor == 1


@given(
    name=st.sampled_from(["constant", "linear", "cosine"]),
    kimg=st.floats(0, 1e4),
    lr_end=st.floats(0, 1),
    span=st.floats(0.01, 1),
    warmup=st.floats(0, 100),
)
def test_every_rate_is_in_its_range(
    name: str, kimg: float, lr_end: float, span: float, warmup: float
) -> None:
    lr_end = 0.0 if name == "constant" else lr_end
    schedule = schedule_of(name=name, lr_end=lr_end, span=span, warmup=warmup)
    assert 0 <= schedule(kimg).lr_factor <= 1
