from __future__ import annotations

import math

import pytest

from gantune.health import HealthMonitor, Verdict

# Best FIDs of a published run on CIFAR-10 (SNGAN), every 10,000 steps.
HEALTHY = [25.6, 22.9, 20.5, 17.9, 16.2, 14.5, 14.4, 14.9, 13.2, 13.6]


def judged(scores: list[float], preset: str = "default") -> Verdict | None:
    monitor = HealthMonitor("hinge", preset=preset)
    for place, score in enumerate(scores):
        if monitor.observe(step=1000 * (place + 1), score=score):
            break
    return monitor.verdict


def test_score_that_stays_twice_its_best_is_a_collapse() -> None:
    verdict = judged([50, 30, 20, 21, 45, 44, 46])
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.at) == ("collapsed", "worsened", 6000)
    assert verdict.since == 3000
    assert verdict.sentence == "the last 2 scores at least 44, the best 20 at 3,000 steps"


@pytest.mark.parametrize(
    "scores",
    [
        HEALTHY,
        [50, 30, 20, 45, 21, 20, 19],  # a single one
        [50, 30, 20, 45, 25, 44, 24, 46, 25],  # leaps
        [50, 30, 20, *[32.0] * 9],  # worse, but never by far
        [50, 30, 20, *[29.0] * 9],
        [400, 390],
    ],
)
def test_usual_behaviour_of_healthy_runs_is_tolerated(scores: list[float]) -> None:
    assert judged(scores) is None


def test_last_scores_span_a_share_of_the_observed_length() -> None:
    """Three scores are a very short part of a long run."""
    long = [50.0, 30.0, *[20.0] * 98]
    assert judged([*long, 50, 50, 50]) is None
    verdict = judged([*long, *[50.0] * 20])
    assert verdict is not None
    assert 108_000 <= verdict.at <= 115_000


def test_strict_needs_fewer_scores_and_lenient_more() -> None:
    scores = [50.0, 30.0, 20.0, 35.0, 35.0]
    assert judged(scores) is None
    assert judged(scores, "strict") is not None
    assert judged([50, 30, 20, 45, 45, 45], "lenient") is None
    assert judged([50, 30, 20, *[70.0] * 6], "lenient") is not None


def test_best_score_of_zero_is_not_a_reference() -> None:
    assert judged([5.0, 0.0, 1.0, 1.0, 1.0, 1.0]) is None


def test_sentence_says_that_scores_are_not_finite() -> None:
    verdict = judged([50, 20, math.nan])
    assert verdict is not None and verdict.rule == "non_finite"


def test_search_with_four_rungs_has_enough_scores() -> None:
    monitor = HealthMonitor("hinge", budget_kimg=40.0)
    for kimg, score in [(0.0, 900.0), (10.0, 50.0), (20.0, 120.0)]:
        assert monitor.observe_score(kimg=kimg, score=score) is None
    verdict = monitor.observe_score(kimg=30.0, score=130.0)
    assert verdict is not None and verdict.rule == "worsened"


def searched(scores: list[float], kimg: float = 40.0) -> HealthMonitor:
    """A run of a search, scored at equal distances; the last score is at the end of its budget."""
    monitor = HealthMonitor("hinge", budget_kimg=kimg)
    for place, score in enumerate(scores, start=1):
        monitor.observe_score(kimg=place * kimg / len(scores), score=score)
    return monitor


@pytest.mark.parametrize("kimg", [0.4, 6.0, 40.0, 10_000.0])
def test_last_scores_of_a_budget_are_judged(kimg: float) -> None:
    verdict = searched([116, 124, 207, 413], kimg).verdict
    assert verdict is not None
    assert (verdict.kind, verdict.rule, verdict.at) == ("collapsed", "worsened", kimg)
    assert verdict.sentence.startswith("the last 2 scores at least 207, the best 116 at ")


@pytest.mark.parametrize(
    ("scores", "remark"),
    [
        ([116, 124, 130, 413], "the best score, 116, is of 10 kimg; the last is 413, of 40 kimg"),
        ([116, 413], "the best score, 116, is of 20 kimg; the last is 413, of 40 kimg"),
        ([116, 124, 207, 174], ""),
        ([413, 207, 124, 116], ""),
        ([116, 124, 413, 120], ""),
        ([413], ""),
        ([0.0, 1.0], ""),
    ],
)
def test_a_single_last_score_far_above_the_best_is_remarked(
    scores: list[float], remark: str
) -> None:
    monitor = searched(scores)
    assert monitor.verdict is None
    assert monitor.remark == remark


def test_no_remark_beside_a_verdict_or_without_the_rule() -> None:
    assert searched([116, 124, 207, 413]).remark == ""
    assert HealthMonitor("hinge").remark == ""
    monitor = HealthMonitor("hinge", preset="off", budget_kimg=40.0)
    monitor.observe_score(kimg=20.0, score=116.0)
    monitor.observe_score(kimg=40.0, score=413.0)
    assert monitor.remark == ""
