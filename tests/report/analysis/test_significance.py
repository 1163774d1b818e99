"""Ties between finalists, the noise of a seed, and how well rungs rank trials."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.report.analysis.significance import (
    RungAgreement,
    compare_with_best,
    rung_agreement,
    seed_noise,
)
from gantune.report.findings import about_ties
from gantune.trial.records import TrialRecord
from gantune.tuner.finalists import FinalistResult
from tests.report.factory import finals, outcome, score, search, state, trial

Pairs = list[tuple[float, float]]


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
    assert worse.text == "Trial 0 is worse than trial 3: 1.47 times the score."
    assert worse.details.startswith("Trial 0 has 1.47 times the score of trial 3; 95% interval 1.")
    assert tie.text == "A tie: trial 4 and trial 3 cannot be told apart."
    assert single.text.startswith("Trial 12 may be as good as trial 3: another seed can change")
    assert "in the finals is 6%." in single.details
    assert "at least 1.29 times as high to be significant (95%)" in single.details


def test_a_clear_lead_among_single_seeds_is_a_finding_too() -> None:
    (*_, single) = about_ties(state(search(), finals()))
    assert single.text.startswith("In the search, trial 3 leads by more than another seed")


def test_without_finals_there_are_no_findings() -> None:
    assert about_ties(state(search())) == []


def scored(pairs: Pairs) -> list[TrialRecord]:
    """Trials whose best rung has the first score of a pair, and which end with the second."""
    return [
        trial(n, outcome("completed", value=value), rungs={25: rung + 1, 50: rung, 100: rung + 2})
        for n, (rung, value) in enumerate(pairs)
    ]


def test_rung_agreement_is_spearmans_correlation() -> None:
    """By hand: the ranks differ by 1, 1, 0, 1 and 1, so it is 1 - 6 * 4 / (5 * 24)."""
    found = rung_agreement(scored([(1, 20), (2, 10), (3, 30), (4, 50), (5, 40)]))
    assert found is not None
    assert (found.trials, found.correlation) == (5, pytest.approx(0.8))


def test_rung_agreement_needs_both_scores_of_a_trial() -> None:
    both = scored([(n, n * n) for n in range(1, 6)])
    others = [
        trial(5, outcome("pruned", 20.0), rungs={25: 1.0}),
        trial(6, outcome("completed", value=1e-3)),
        trial(7, None, rungs={25: 1.0}),
    ]
    found = rung_agreement([*both, *others])
    assert found is not None
    assert (found.trials, found.correlation) == (5, pytest.approx(1.0))
    assert rung_agreement([*both[:4], *others]) is None


@pytest.mark.parametrize("constant", [[(1, n) for n in range(9)], [(n, 1) for n in range(9)]])
def test_rung_agreement_of_constant_scores_is_undefined(constant: Pairs) -> None:
    assert rung_agreement(scored(constant)) is None


@pytest.mark.parametrize(("correlation", "is_low"), [(0.7, False), (0.6, True)])
def test_a_low_rung_agreement_warns(correlation: float, is_low: bool) -> None:
    order = {0.7: [1, 4, 2, 3, 5], 0.6: [2, 1, 5, 3, 4]}[correlation]
    found = rung_agreement(scored(list(enumerate(map(float, order)))))
    assert found is not None and found.correlation == pytest.approx(correlation)
    assert found.is_low == is_low
    assert ("rung_samples" in str(found)) == is_low


@pytest.mark.parametrize("correlation", [0.6949, 0.6951, 0.6996, 0.7049])
def test_the_text_and_the_threshold_of_rung_agreement_agree(correlation: float) -> None:
    found = RungAgreement(30, correlation)
    shown = float(re.findall(r"rank correlation (0\.\d+)", str(found))[0])
    assert found.is_low == (shown < 0.7) == ("below 0.7" in str(found))


@given(st.lists(st.tuples(*2 * [st.floats(0, 1e6)]), max_size=12))
def test_rung_agreement_is_a_correlation_or_none(pairs: Pairs) -> None:
    found = rung_agreement(scored(pairs))
    assert found is None or -1.0001 <= found.correlation <= 1.0001
    assert len(pairs) >= 5 or found is None
