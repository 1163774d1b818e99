"""How well rungs rank trials."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.report.analysis.rungs import RungAgreement, rung_agreement
from gantune.trial.records import TrialRecord
from tests.report.factory import outcome, trial

Pairs = list[tuple[float, float]]


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
