"""Lanes of the timeline, from overlap in time."""

from __future__ import annotations

from dataclasses import replace

from gantune.report.analysis.timeline import TimelineBar, lay_out
from gantune.trial.records import TrialRecord
from tests.report.factory import outcome, trial


def _run(number: int, begun: float, ended: float | None) -> TrialRecord:
    done = None if ended is None else outcome("completed", value=1.0)
    return replace(trial(number, done), begun=begun, ended=ended)


def _lanes(bars: list[TimelineBar]) -> dict[int, int]:
    return {bar.record.number: bar.lane for bar in bars}


def test_runs_that_overlap_have_their_own_lanes() -> None:
    bars = lay_out([_run(0, 100, 130), _run(1, 101, 120), _run(2, 120.01, 140), _run(3, 131, 150)])
    assert _lanes(bars) == {0: 0, 1: 1, 2: 1, 3: 0}
    assert [(bar.start, bar.end) for bar in bars][:2] == [(0, 30), (1, 20)]


def test_pauses_are_left_out() -> None:
    bars = lay_out([_run(0, 100, 130), _run(1, 50_000, 50_020)])
    assert bars[1].start == 35 and bars[1].end == 55 and bars[1].lane == 0


def test_a_running_run_ends_now_and_a_run_without_a_start_is_left_out() -> None:
    bars = lay_out([_run(0, 100, None), trial(1)], now=160.0)
    assert [(bar.record.number, bar.end) for bar in bars] == [(0, 60.0)]
