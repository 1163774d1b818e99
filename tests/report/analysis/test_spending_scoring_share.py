from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gantune.report.analysis.spending import scoring_share
from gantune.report.status import status_json
from gantune.report.terminal.summary import print_summary
from gantune.tuner.state import RunState, Timing
from tests.report.factory import console, outcome, state, trial, written


def spending(scoring: float, spent: Timing) -> RunState:
    ended = [replace(outcome("completed", value=1.0), scoring_seconds=scoring) for _ in range(2)]
    return state([trial(n, one) for n, one in enumerate(ended)], timing=spent)


def test_it_is_of_the_whole_time_of_all_workers() -> None:
    found = scoring_share(spending(10.0, Timing(180.0, preparing_seconds=20.0, workers=2)))
    assert found is not None
    assert found.total == pytest.approx((2 * 20 + 2 * 10) / (2 * 200))
    assert found.preparing == pytest.approx(2 * 20 / (2 * 200))


def test_what_workers_score_before_their_first_trials_counts() -> None:
    spent = Timing(180.0, preparing_seconds=20.0, workers=2, warmup_seconds=12.0)
    found = scoring_share(spending(10.0, spent))
    assert found is not None
    assert found.total == pytest.approx((2 * 20 + 12 + 2 * 10) / (2 * 200))
    assert found.preparing == pytest.approx((2 * 20 + 12) / (2 * 200))


def test_the_summary_says_it_and_what_helps_where_it_is_too_much(tmp_path: Path) -> None:
    def summary(of: RunState) -> str:
        print_summary(made := console(), of)
        return " ".join(written(made).split())

    little = summary(spending(3.0, Timing(90.0, 2.0)))
    assert "Scoring took 9% of the search's time." in little and "over 10%" not in little
    much = summary(spending(10.0, Timing(90.0, 10.0)))
    assert "Scoring took 30% of the search's time, 10% before the first trial: over 10%." in much
    assert "fewer objective.rung_samples and samples" in much
    of = replace(spending(10.0, Timing(90.0, 10.0)), folder=state([], folder=tmp_path).folder)
    assert status_json(of)["scoring_share"] == pytest.approx(0.3)


def test_before_any_time_has_passed_there_is_none() -> None:
    assert scoring_share(state([], timing=Timing(0.0))) is None
