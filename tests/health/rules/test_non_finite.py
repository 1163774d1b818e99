from __future__ import annotations

import math

import pytest

from tests.health.runs import calm, changed, judged


@pytest.mark.parametrize("signal", ["d_loss", "g_loss", "d_grad", "g_grad"])
@pytest.mark.parametrize(
    "value", [math.nan, math.inf, -math.inf, pytest.param(10**400, id="integer beyond floats")]
)
def test_non_finite_number_gives_a_verdict_at_once(signal: str, value: float) -> None:
    verdict = judged("vanilla", changed(calm("vanilla"), 7, **{signal: value}))
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.at) == ("diverged", "non_finite", 8.0)


def test_sentence_names_what_broke() -> None:
    verdict = judged("wgan", changed(calm("wgan"), 7, d_loss=math.nan, g_grad=math.inf))
    assert verdict is not None
    assert verdict.sentence == "D loss and the gradient norm of G not finite at 8 kimg"


@pytest.mark.parametrize("share", [1.0, math.nan, math.inf])
def test_whole_tick_of_skipped_steps_gives_a_verdict_at_once(share: float) -> None:
    verdict = judged("vanilla", changed(calm("vanilla"), 7, non_finite=share))
    assert verdict is not None
    assert verdict.at == 8.0
    assert verdict.sentence.startswith("100% of a player's steps skipped")


def test_share_of_skipped_steps_is_the_sentence_where_the_means_are_finite() -> None:
    verdict = judged("wgan", changed(calm("wgan"), 7, non_finite=0.5))
    assert verdict is not None
    assert verdict.at == 9.0
    assert verdict.sentence == "50% of a player's steps skipped for non-finite gradients at 9 kimg"


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3])
def test_few_skipped_steps_are_tolerated_although_means_are_nan(share: float) -> None:
    ticks = changed(calm("hinge"), 5, non_finite=share, d_loss=math.nan, d_grad=math.inf)
    assert judged("hinge", ticks) is None


def test_one_bad_tick_long_ago_does_not_count() -> None:
    ticks = changed(calm("hinge"), 39, non_finite=0.9)
    ticks[3]["non_finite"] = 0.9
    assert judged("hinge", ticks) is None


def test_presets_differ_in_what_they_tolerate() -> None:
    one_bad_tick = calm("vanilla")
    one_bad_tick[5]["d_loss"] = math.nan
    assert judged("vanilla", one_bad_tick, "lenient") is None
    assert judged("vanilla", changed(calm("vanilla"), 5, d_loss=math.nan), "lenient") is not None
    half = calm("vanilla")
    half[5]["non_finite"] = 0.5
    assert judged("vanilla", half) is None
    assert judged("vanilla", half, "strict") is not None
