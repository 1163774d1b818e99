from __future__ import annotations

import math

import pytest

from gantune.health import HealthMonitor, Verdict

Scores = list[tuple[float, float]]


def judged(
    scores: Scores,
    budget: float | None = 40.0,
    preset: str = "default",
    spread: float | None = None,
) -> Verdict | None:
    monitor = HealthMonitor("vanilla", preset=preset, budget_kimg=budget)
    kimg = 0.0
    for place, score in scores:
        while kimg < place:
            kimg += 1.0
            monitor.observe(kimg=kimg, spread=spread)
        monitor.observe_score(kimg=place, score=score)
    return monitor.verdict


def test_score_far_above_the_line_is_stalled_at_a_quarter_of_the_budget() -> None:
    verdict = judged([(0, 200), (10, 185)])
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.at) == ("stalled", "stillborn", 10.0)
    assert verdict.sentence == "best score 185 by 10 kimg, the untrained generator's 200"


@pytest.mark.parametrize(("kimg", "least"), [(10, 162.5), (20, 125.0), (30, 87.5)])
def test_the_line_falls_to_a_quarter_at_the_end(kimg: float, least: float) -> None:
    assert judged([(0, 200), (kimg, least - 1)]) is None
    assert judged([(0, 200), (kimg, least + 1)]) is not None


def test_at_the_end_nothing_is_left_to_save() -> None:
    assert judged([(0, 200), (40, 200)]) is None


def test_end_of_the_budget_is_found_despite_rounding() -> None:
    monitor, kimg = HealthMonitor("vanilla", budget_kimg=10.0), 0.0
    monitor.observe_score(kimg=kimg, score=200.0)
    for _ in range(100):
        kimg += 0.1
        monitor.observe(kimg=kimg)
    assert kimg < 10 and monitor.observe_score(kimg=kimg, score=200.0) is None


def test_images_with_rising_spread_are_spared() -> None:
    assert judged([(0, 200), (10, 199)], spread=0.5) is None
    assert judged([(0, 200), (10, 199)], spread=0.16) is not None


def test_rule_waits_for_a_score_that_is_due() -> None:
    monitor = HealthMonitor("vanilla", budget_kimg=40.0)
    for kimg, score in [(0, 200), (10, 150)]:
        assert monitor.observe_score(kimg=kimg, score=score) is None
    assert monitor.observe(kimg=20.0, d_loss=1.4) is None
    assert monitor.observe_score(kimg=20, score=110.0) is None


@pytest.mark.parametrize(
    "scores",
    [
        [(0, 200), (9, 199)],
        [(0, 200), (10, 70), (20, 100), (30, 90)],
        [(10, 200), (20, 200), (30, 200)],
        [(0, 0.0), (20, 200)],
    ],
)
def test_early_better_or_without_a_start_is_not_judged(scores: Scores) -> None:
    assert judged(scores) is None


def test_without_a_budget_a_distance_of_unknown_size_is_not_judged() -> None:
    assert judged([(0, 200), (20, 200), (40, 200)], budget=None) is None


def test_strict_stops_more_and_lenient_fewer() -> None:
    little = [(0.0, 200.0), (20.0, 115.0)]
    assert judged(little) is None
    assert judged(little, preset="strict") is not None
    assert judged([(0, 200), (20, 150)], preset="lenient") is None


def test_run_of_a_few_kimg_is_not_judged() -> None:
    assert judged([(0, 200), (4, 199), (8, 199)], budget=8.0) is None


def followed(fids: list[float]) -> Verdict | None:
    """A run of unknown length, scored with Inception every 2,000 steps."""
    monitor = HealthMonitor("wgan")
    for place, fid in enumerate(fids):
        monitor.observe(step=2000 * (place + 1), fid=fid)
    return monitor.verdict


def test_high_fid_that_does_not_improve_is_stillborn() -> None:
    verdict = followed([234, 200, 167, 190, 170, 163, 161, 161, 162, 161])
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.unit) == ("stalled", "stillborn", "step")
    assert verdict.sentence == "best FID 161 by 16,000 steps, 167 already by 6,000 steps"


@pytest.mark.parametrize(
    "fids",
    [
        [234, 200, 167, 140, 141, 142, 141, 141, 142, 141],  # below what is nothing
        [400 * 0.9**k for k in range(9)],  # still getting better
        [200, 200, 200, 200, 200, 200, 200],  # too few to say
    ],
)
def test_low_or_falling_fid_is_tolerated(fids: list[float]) -> None:
    assert followed(fids) is None


def test_nan_score_is_non_finite() -> None:
    verdict = judged([(0, 200), (10, math.nan)])
    assert verdict is not None and verdict.rule == "non_finite"
    assert verdict.sentence == "score not finite at 10 kimg"


def test_sentence_has_scores_worse_than_the_start() -> None:
    verdict = judged([(0, 200), (10, 210)])
    assert verdict is not None
    assert verdict.sentence == "best score 210 by 10 kimg, the untrained generator's 200"
