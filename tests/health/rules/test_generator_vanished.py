from __future__ import annotations

import math

import pytest

from gantune.config.loss_families import LOSSES
from tests.health.runs import calm, changed, judged


@pytest.mark.parametrize("gradient", [0.0, 1e-12])
@pytest.mark.parametrize("loss", LOSSES)
def test_generator_without_a_gradient_is_lost(loss: str, gradient: float) -> None:
    verdict = judged(loss, changed(calm(loss), 5, g_grad=gradient))
    assert verdict is not None
    assert (verdict.kind, verdict.rule) == ("collapsed", "generator_vanished")
    assert verdict.at <= 15
    assert verdict.sentence == f"the gradient norm of G at {gradient:g} for 10 kimg"


@pytest.mark.parametrize("loss", LOSSES)
def test_small_gradient_that_adam_compensates_is_tolerated(loss: str) -> None:
    assert judged(loss, changed(calm(loss), 0, g_grad=1e-6)) is None


def test_gradient_that_comes_back_is_tolerated() -> None:
    assert judged("wgan", changed(changed(calm("wgan"), 5, g_grad=0.0), 12, g_grad=1e-3)) is None


@pytest.mark.parametrize("loss", LOSSES)
def test_steps_of_a_thousandth_of_the_earlier_length_are_found_sooner(loss: str) -> None:
    verdict = judged(loss, changed(calm(loss), 20, g_update=4e-6))
    assert verdict is not None
    assert verdict.rule == "generator_vanished"
    assert 24 <= verdict.at <= 25
    assert verdict.sentence.startswith("G's weights move by 4e-06 of their norm a step for 5 kimg")


def test_steps_that_shrink_by_schedule_are_tolerated() -> None:
    ticks = calm("hinge")
    for k, tick in enumerate(ticks):
        tick["g_update"] = 0.005 * (1 + math.cos(math.pi * k / len(ticks))) / 2
    assert judged("hinge", ticks) is None


def test_short_pause_of_steps_is_tolerated() -> None:
    ticks = changed(changed(calm("hinge"), 20, g_update=1e-7), 23, g_update=0.005)
    assert judged("hinge", ticks) is None
