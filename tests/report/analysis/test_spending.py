"""What a search spent, what stopping saved, and the share of scoring."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gantune.report.analysis.spending import saved_by, scoring_share, spending
from gantune.report.status import status_json
from gantune.report.terminal.summary import print_everything
from gantune.tuner.state import RunState, Timing
from tests.report.factory import console, finals, outcome, search, state, trial, written


def test_spending_has_a_row_for_each_rule_and_rung() -> None:
    found = {one.reason: one for one in spending(state(search(), finals()))}
    assert found["completed"].runs == 2 and found["completed"].saved == 0
    assert (found["pruned at 50%"].spent, found["pruned at 50%"].saved) == (20, 20)
    assert (found["pruned at 25%"].spent, found["pruned at 25%"].saved) == (10, 30)
    assert (found["discriminator_won"].runs, found["discriminator_won"].saved) == (2, 16 + 34)
    assert found["crashed"].saved == 0 and found["out of memory"].saved == 0
    assert found["the finals"].runs == 9


def test_spending_adds_up_to_the_savings() -> None:
    canned = state(search())
    found = spending(canned)
    assert sum(one.saved for one in found) == pytest.approx(saved_by(canned).kimg)
    assert sum(one.spent for one in found) == sum(r.outcome.kimg for r in search() if r.outcome)


def _timed(scoring: float, spent: Timing) -> RunState:
    ended = [replace(outcome("completed", value=1.0), scoring_seconds=scoring) for _ in range(2)]
    return state([trial(n, one) for n, one in enumerate(ended)], timing=spent)


def test_the_scoring_share_is_of_the_time_of_all_workers() -> None:
    found = scoring_share(_timed(10.0, Timing(180.0, preparing_seconds=20.0, workers=2)))
    assert found is not None
    assert found.total == pytest.approx((2 * 20 + 2 * 10) / (2 * 200))
    assert found.preparing == pytest.approx(2 * 20 / (2 * 200))


def test_the_warm_up_of_workers_counts_as_scoring() -> None:
    spent = Timing(180.0, preparing_seconds=20.0, workers=2, warmup_seconds=12.0)
    found = scoring_share(_timed(10.0, spent))
    assert found is not None
    assert found.total == pytest.approx((2 * 20 + 12 + 2 * 10) / (2 * 200))
    assert found.preparing == pytest.approx((2 * 20 + 12) / (2 * 200))


def test_the_summary_shows_the_scoring_share_and_what_reduces_it(tmp_path: Path) -> None:
    def summary(of: RunState) -> str:
        print_everything(made := console(), of)
        return " ".join(written(made).split())

    little = summary(_timed(3.0, Timing(90.0, 2.0)))
    assert "Scoring took 9% of the search's time." in little and "over 10%" not in little
    much = summary(_timed(10.0, Timing(90.0, 10.0)))
    assert "Scoring took 30% of the search's time, 10% before the first trial: over 10%." in much
    assert "fewer objective.rung_samples and samples" in much
    of = replace(_timed(10.0, Timing(90.0, 10.0)), folder=state([], folder=tmp_path).folder)
    assert status_json(of)["scoring_share"] == pytest.approx(0.3)


def test_there_is_no_scoring_share_before_any_time_has_passed() -> None:
    assert scoring_share(state([], timing=Timing(0.0))) is None
