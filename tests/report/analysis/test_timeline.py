"""Lanes of the timeline, from overlap in time."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

from gantune.report.analysis.timeline import TimelineBar, last_moment, lay_out
from gantune.trial.records import TrialRecord
from tests.report.factory import outcome, state, trial


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


def test_a_run_that_paused_has_a_bar_for_each_part() -> None:
    paused = replace(_run(0, 100, 170), pauses=((110.0, 150.0),))
    waiting = replace(_run(1, 110, 120), ended=None, pauses=((120.0, None),))
    bars = lay_out([paused, waiting], now=200.0)
    assert [(b.record.number, b.start, b.end) for b in bars] == [
        (0, 0, 10),
        (1, 10, 20),
        (0, 50, 70),
    ]


def test_the_runs_of_a_stopped_search_end_at_its_last_sign(tmp_path: Path) -> None:
    running = _run(1, 110, None)
    stopped = state([_run(0, 100, 130), running], folder=tmp_path, is_over=False)
    assert last_moment(stopped) == 130
    ticks = tmp_path / running.name / "ticks.jsonl"
    ticks.parent.mkdir(parents=True)
    ticks.touch()
    os.utime(ticks, (140, 140))
    assert last_moment(stopped) == 140


def test_a_running_run_ends_now_and_a_run_without_a_start_is_left_out() -> None:
    bars = lay_out([_run(0, 100, None), trial(1)], now=160.0)
    assert [(bar.record.number, bar.end) for bar in bars] == [(0, 60.0)]
