"""Ties between finalists, and the noise of a seed."""

from __future__ import annotations

import math

import pytest

from gantune.io.formatting import times
from gantune.report.findings import about_ties
from gantune.tuner.finals.finalists import FinalistResult
from gantune.tuner.finals.significance import compare_with_best, seed_noise
from tests.report.factory import finalist, finals, outcome, score, search, state, trial


def _ranked(origin: int, *values: float) -> FinalistResult:
    return FinalistResult(
        origin, False, tuple(range(len(values))), tuple(score(value) for value in values), ()
    )


def test_scores_within_their_spread_tie() -> None:
    (one,) = compare_with_best([_ranked(1, 40.0, 42.0, 44.0), _ranked(2, 41.0, 43.0, 45.0)])
    assert one.is_tie and one.is_ratio and one.value == pytest.approx(1.024, abs=1e-3)
    assert one.low is not None and one.high is not None and one.low < 1 < one.high


def test_scores_beyond_their_spread_do_not_tie() -> None:
    (one,) = compare_with_best([_ranked(1, 40.4, 44.1, 42.0), _ranked(2, 93.7, 172.0, 109.0)])
    assert not one.is_tie and one.value == pytest.approx(2.87, abs=0.01)
    assert one.low is not None and one.low > 1.4


def test_more_finalists_need_more_evidence() -> None:
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


def test_only_the_best_finalists_tell_the_noise() -> None:
    best = [_ranked(1, 40.0, 42.0, 44.0), _ranked(2, 41.0, 43.0, 45.0)]
    noise = seed_noise([*best, _ranked(3, 93.7, 172.0, 409.0)])
    assert noise is not None and noise == seed_noise(best)
    assert noise.is_ratio and noise.deviation == pytest.approx(0.047, abs=2e-3)
    assert seed_noise([_ranked(1, 40.0)]) is None and seed_noise([]) is None


def test_findings_name_ties_and_how_far_to_trust_a_single_seed() -> None:
    trials = [*search(), trial(12, outcome("completed", value=8.2))]
    found = about_ties(state(trials, finals()))
    worse, tie, single = found
    assert worse.text == "Trial 0 is worse than trial 3: 1.5 times the score."
    assert worse.details.startswith("Trial 0 has 1.5 times the score of trial 3; 95% interval 1.")
    assert tie.text == "A tie: trial 4 and trial 3 cannot be told apart."
    assert single.text.startswith("Trial 12 may be as good as trial 3: another seed can change")
    assert "in the finals is a factor of 1.06." in single.details
    assert "at least 1.3 times as high to be significant (95%)" in single.details


def test_a_clear_lead_among_single_seeds_is_a_finding_too() -> None:
    (*_, single) = about_ties(state(search(), finals()))
    assert single.text.startswith("In the search, trial 3 leads by more than another seed")


def test_without_finals_there_are_no_findings() -> None:
    assert about_ties(state(search())) == []


def test_a_wide_spread_over_seeds_is_a_factor_and_no_percentage() -> None:
    """By hand: the logarithms of 1, 80 and 6,400 have a standard deviation of ln 80."""
    noise = seed_noise([_ranked(1, 1.0, 80.0, 6400.0)])
    assert noise is not None and math.exp(noise.deviation) == pytest.approx(80)
    runs = [finalist(seed, 0, seed, outcome("completed", value=80.0**seed)) for seed in range(3)]
    trials = [trial(n, outcome("completed", value=n + 1.0)) for n in range(2)]
    (single,) = about_ties(state(trials, runs))
    assert "is a factor of 80." in single.details and "%." not in single.details


@pytest.mark.parametrize(
    ("value", "shown"),
    [(1.0, "1.00"), (1.047, "1.05"), (1.26, "1.3"), (3.77, "3.8"), (9.96, "10"), (1234.5, "1,234")],
)
def test_factors_as_text(value: float, shown: str) -> None:
    assert times(value) == shown
