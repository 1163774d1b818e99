from __future__ import annotations

import math

import pytest

from gantune.health import HealthMonitor, Verdict

Scores = list[tuple[float, float]]


def judged(scores: Scores, budget: float | None = 40.0, preset: str = "default") -> Verdict | None:
    monitor = HealthMonitor("vanilla", preset=preset, budget_kimg=budget)
    for kimg, score in scores:
        monitor.observe_score(kimg=kimg, score=score)
    return monitor.verdict


def test_score_that_never_leaves_its_start_is_stalled_at_half_the_budget() -> None:
    verdict = judged([(0, 200), (10, 260), (20, 185)])
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.kimg) == ("stalled", "stillborn", 20.0)
    assert verdict.sentence == ("best score 185 by 20 kimg, against 200 of the untrained generator")


def test_score_is_waited_for() -> None:
    monitor = HealthMonitor("vanilla", budget_kimg=40.0)
    for kimg, score in [(0, 200), (10, 199)]:
        assert monitor.observe_score(kimg=kimg, score=score) is None
    assert monitor.observe(kimg=20.0, d_loss=1.4) is None
    assert monitor.observe_score(kimg=20, score=120.0) is None


@pytest.mark.parametrize(
    "scores",
    [
        [(0, 200), (10, 199)],
        [(0, 200), (10, 150), (20, 300), (30, 400)],
        [(10, 200), (20, 200), (30, 200)],
        [(0, math.nan), (20, 200)],
        [(0, math.inf), (20, 200)],
        [(0, 0.0), (20, 200)],
    ],
)
def test_early_better_or_without_a_start_is_not_judged(scores: Scores) -> None:
    assert judged(scores) is None


def test_without_a_budget_nothing_is_said() -> None:
    assert judged([(0, 200), (20, 200), (40, 200)], budget=None) is None


def test_score_that_is_no_number_is_no_better() -> None:
    verdict = judged([(0, 200), (10, math.nan), (20, math.inf)])
    assert verdict is not None
    assert "no finite score by 20 kimg" in verdict.sentence


def test_presets_ask_for_more_or_less() -> None:
    little = [(0.0, 200.0), (20.0, 170.0)]
    assert judged(little) is None
    assert judged(little, preset="strict") is not None
    assert judged([(0, 200), (20, 200)], preset="lenient") is None


def test_a_first_look_of_a_few_kimg_is_not_judged() -> None:
    assert judged([(0, 200), (4, 199), (8, 199)], budget=8.0) is None
