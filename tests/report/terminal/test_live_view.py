from __future__ import annotations

from pathlib import Path

import pytest
from rich.cells import cell_len

from gantune.report.analysis.timeline import estimate
from gantune.report.terminal.live import ProgressView
from tests.report.factory import (
    NAME,
    add_ticks,
    finalist,
    finals,
    outcome,
    row,
    search,
    shown,
    state,
    trial,
)


def test_running_trials_show_their_last_tick(tmp_path: Path) -> None:
    of = state(search(), folder=tmp_path)
    add_ticks(of.folder, "trials/0010", 11, 12, 13.04)
    text = shown(ProgressView(of))
    (line,) = [line for line in text.splitlines() if line.startswith("trial 10")]
    assert line.split()[-5:] == ["13/40", "1.21", "0.934", "19.0", "1,730"]
    (line,) = [line for line in text.splitlines() if line.startswith("trial 11")]
    assert line.split()[-5:] == ["0/40", "-", "-", "-", "starting"]


def test_interrupted_trials_are_not_shown_as_running(tmp_path: Path) -> None:
    of = state(search(), folder=tmp_path)
    add_ticks(of.folder, "trials/0010", 11, 12, 13.04)
    text = shown(ProgressView(of, is_running=False))
    assert "running" not in text and "starting" not in text and "images/s" not in text
    assert row(text, "interrupted") == "interrupted kimg D loss G loss score"
    assert row(text, "trial 10").split()[-4:] == ["13/40", "1.21", "0.934", "19.0"]


def test_the_last_of_many_ticks_is_read(tmp_path: Path) -> None:
    of = state(search(), folder=tmp_path)
    add_ticks(of.folder, "trials/0010", *range(1, 36))
    assert "35/40" in shown(ProgressView(of))


def test_a_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    of = state(search(), folder=tmp_path)
    add_ticks(of.folder, "trials/0010", 11)
    with (tmp_path / "trials/0010/ticks.jsonl").open("a") as file:
        file.write('{"kimg": 12, "st')
    assert "11/40" in shown(ProgressView(of))


def test_counts_and_best_so_far(tmp_path: Path) -> None:
    text = " ".join(shown(ProgressView(state(search(), folder=tmp_path))).split())
    assert "9/24" in text
    assert "2 completed, 2 pruned by rank, 1 diverged, 2 collapsed, 1 stalled" in text
    assert f"best so far: trial 3, {NAME} 8.10" in text
    assert "3m 00s so far" in text


def test_finals_have_a_bar_and_a_best_of_their_own(tmp_path: Path) -> None:
    runs = [*finals()[:8], finalist(8, origin=4, seed=3, ended=None)]
    text = shown(ProgressView(state(search(), runs, tmp_path)))
    assert "8/9" in text and "trial 4, seed 3" in text
    assert "8.50 ± 0.50 over 3 seeds" in text


@pytest.mark.parametrize("width", [80, 100, 140])
def test_it_fits_any_console_even_with_many_workers(width: int, tmp_path: Path) -> None:
    many = [trial(n) for n in range(100)]
    lines = shown(ProgressView(state(many, folder=tmp_path)), width).splitlines()
    assert max(map(cell_len, lines)) <= width
    assert len(lines) <= 40  # the height of the factory's console
    assert any("more" in line for line in lines)


def test_an_empty_search_shows_no_score(tmp_path: Path) -> None:
    text = shown(ProgressView(state([], folder=tmp_path, planned_trials=None)))
    assert "no trial has ended yet" in text and "no score yet" in text


def test_time_left_follows_the_pace_so_far(tmp_path: Path) -> None:
    """Two of four trials of 40 kimg took 100 s; two more and one final of 40 kimg are left."""
    done = [trial(n, outcome("completed", value=1.0)) for n in range(2)]
    of = state(done, folder=tmp_path, planned_trials=4, planned_finalists=1, seconds=100.0)
    found = estimate(of)
    assert found.done_kimg == 80 and found.left_kimg == 120
    assert found.seconds_left == pytest.approx(150)


def test_what_running_trials_have_done_counts(tmp_path: Path) -> None:
    records = [trial(0, outcome("completed", value=1.0)), trial(1)]
    of = state(records, folder=tmp_path, planned_trials=2, planned_finalists=0)
    add_ticks(of.folder, "trials/0001", 30)
    found = estimate(of)
    assert (found.done_kimg, found.left_kimg) == (70, 10)


def test_a_search_that_is_done_has_no_time_left(tmp_path: Path) -> None:
    done = [trial(0, outcome("completed", value=1.0))]
    of = state(done, folder=tmp_path, planned_trials=1, planned_finalists=0)
    assert "left" not in shown(ProgressView(of))


def test_no_time_left_is_claimed_without_ground(tmp_path: Path) -> None:
    assert estimate(state([trial(0)], folder=tmp_path)).seconds_left is None
    assert estimate(state(search(), folder=tmp_path, planned_trials=None)).seconds_left is None
