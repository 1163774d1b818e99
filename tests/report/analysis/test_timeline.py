"""Lanes of the timeline, from overlap in time, and the time left."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from gantune.report.analysis.timeline import TimelineBar, estimate, last_moment, lay_out
from gantune.trial.records import TrialRecord
from tests.report.factory import add_ticks, outcome, search, state, trial


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


# Two trials of 40 kimg, one after another, in 100 s.
PACE = [_run(0, 1000, 1050), _run(1, 1050, 1100)]


def test_time_left_follows_the_pace_since_the_first_trial_began(tmp_path: Path) -> None:
    """Two more trials and one final of 40 kimg are left. The 30 s in which the workers loaded their
    features say nothing of that."""
    of = state(PACE, folder=tmp_path, planned_trials=4, planned_finalists=1, seconds=130.0)
    found = estimate(of)
    assert found.done_kimg == 80 and found.left_kimg == 120
    assert found.seconds_left == pytest.approx(150)


def test_the_time_left_is_never_more_than_the_budget_leaves(tmp_path: Path) -> None:
    of = state(PACE, folder=tmp_path, planned_finalists=0, seconds=130.0, is_over=False)
    of = replace(of, planned_trials=400, expected_kimg=4000.0)
    assert estimate(of).seconds_left == pytest.approx(4900)  # 3,920 kimg
    assert estimate(replace(of, time_limit=3600.0)).seconds_left == pytest.approx(3470)
    assert estimate(replace(of, time_limit=36000.0)).seconds_left == pytest.approx(4900)


def test_what_running_trials_have_done_counts(tmp_path: Path) -> None:
    records = [trial(0, outcome("completed", value=1.0)), trial(1)]
    of = state(records, folder=tmp_path, planned_trials=2, planned_finalists=0)
    add_ticks(of.folder, "trials/0001", 30)
    found = estimate(of)
    assert (found.done_kimg, found.left_kimg) == (70, 10)


def test_without_evidence_only_the_budget_says_how_much_time_is_left(tmp_path: Path) -> None:
    of = state([trial(0)], folder=tmp_path, is_over=False, seconds=20.0)
    assert estimate(of).seconds_left is None
    assert estimate(replace(of, time_limit=100.0)).seconds_left == 80
    assert estimate(state(search(), folder=tmp_path, planned_trials=None)).seconds_left is None
