"""Who ties with whom, and what another seed alone changes."""

from __future__ import annotations

import pytest

from gantune.report.analysis.significance import compare_with_best, seed_noise
from gantune.report.findings import about_ties
from gantune.tuner.finalists import FinalistResult
from tests.report.factory import finals, outcome, score, search, state, trial


def _ranked(origin: int, *values: float) -> FinalistResult:
    return FinalistResult(
        origin, False, tuple(range(len(values))), tuple(score(value) for value in values), ()
    )


def test_scores_within_their_spread_tie() -> None:
    (one,) = compare_with_best([_ranked(1, 40.0, 42.0, 44.0), _ranked(2, 41.0, 43.0, 45.0)])
    assert one.is_tie and one.is_ratio and one.value == pytest.approx(1.024, abs=1e-3)
    assert one.low is not None and one.high is not None and one.low < 1 < one.high


def test_scores_beyond_their_spread_do_not() -> None:
    (one,) = compare_with_best([_ranked(1, 40.4, 44.1, 42.0), _ranked(2, 93.7, 172.0, 109.0)])
    assert not one.is_tie and one.value == pytest.approx(2.87, abs=0.01)
    assert one.low is not None and one.low > 1.4


def test_more_finalists_ask_for_more_evidence() -> None:
    pair = [_ranked(1, 40.0, 41.0, 42.0), _ranked(2, 43.0, 44.0, 45.0)]
    alone = compare_with_best(pair)[0]
    among = compare_with_best([*pair, *(_ranked(k, 50.0, 60.0, 70.0) for k in range(3, 9))])[0]
    assert alone.low is not None and among.low is not None and among.low < alone.low


def test_one_seed_each_is_a_tie_whatever_the_scores() -> None:
    (one,) = compare_with_best([_ranked(1, 40.0), _ranked(2, 400.0)])
    assert one.is_tie and one.low is None


def test_scores_that_may_be_negative_are_compared_by_differences() -> None:
    (one,) = compare_with_best([_ranked(1, -2.0, -1.0, 0.0), _ranked(2, 7.0, 8.0, 9.0)])
    assert not one.is_ratio and one.value == 9.0 and not one.is_tie


def test_the_noise_is_that_of_the_best_alone() -> None:
    best = [_ranked(1, 40.0, 42.0, 44.0), _ranked(2, 41.0, 43.0, 45.0)]
    noise = seed_noise([*best, _ranked(3, 93.7, 172.0, 409.0)])
    assert noise is not None and noise == seed_noise(best)
    assert noise.is_ratio and noise.deviation == pytest.approx(0.047, abs=2e-3)
    assert seed_noise([_ranked(1, 40.0)]) is None and seed_noise([]) is None


def test_sentences_name_ties_and_what_a_single_training_is_worth() -> None:
    trials = [*search(), trial(12, outcome("completed", value=8.2))]
    lines = list(about_ties(state(trials, finals())))
    assert any("Trial 0 is worse than trial 3" in line for line in lines)
    assert any("says nothing" in line for line in lines)
    assert any("trial 12 ties with trial 3" in line for line in lines)


def test_without_finals_nothing_is_said() -> None:
    assert list(about_ties(state(search()))) == []
