"""The live view of a search, in a log, on a terminal, and from another process."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from gantune.errors import RunError
from gantune.io.files import write_text
from gantune.report.terminal import live
from gantune.report.terminal.live import ProgressView, Terminal, watch_run
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment
from tests.played import curve, played_run, write_start
from tests.report.factory import (
    NAME,
    add_ticks,
    console,
    finalist,
    finals,
    outcome,
    row,
    search,
    shown,
    state,
    trial,
    written,
)
from tests.tuner.factory import SPACE, make_driver, play, toy_space, train


def terminal() -> Console:
    return Console(file=io.StringIO(), width=80, height=40, force_terminal=True, _environ={})


def test_in_a_log_every_event_is_one_whole_line() -> None:
    made = console(40)
    text = "trial 7 collapsed at 12 kimg: D loss at 0.004 of its neutral value [for 12 kimg]"
    with Terminal(made) as shown:
        shown.message(text)
    assert written(made) == text + "\n"


def test_in_a_log_a_preparation_has_a_line_a_quarter() -> None:
    made = console()
    with Terminal(made) as shown:
        for done in range(0, 1001, 10):
            shown.progress("decoding", done, 1000)
    assert written(made).splitlines() == [
        f"decoding: {done} of 1,000" for done in ("250", "500", "750", "1,000")
    ]


def test_a_note_is_beside_the_progress() -> None:
    log, made = console(), terminal()
    for where in (log, made):
        with Terminal(where) as shown:
            for done in (10, 11, 20):  # a note that changes makes no further line
                shown.progress("training, kimg", done, 40, f"{done}00 images/s")
    assert written(log).splitlines() == [
        f"training, kimg: {done} of 40 ({done}00 images/s)" for done in (10, 20)
    ]
    assert "1000 images/s" in written(made)


def test_a_log_has_a_line_a_minute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    made = console()
    with Terminal(made) as shown:
        for _ in range(1200):  # five minutes of four looks a second
            now += 0.25
            shown.refresh(state(search(), folder=tmp_path))
    lines = written(made).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("10 of 24 trials (2 completed, 2 pruned by rank,")
    assert lines[0].endswith(
        "best so far: trial 3, fid[classifier-digits] 8.10, recall 0.60, coverage 0.70"
    )


def test_on_a_terminal_the_view_is_removed_and_messages_stay(tmp_path: Path) -> None:
    made = terminal()
    with Terminal(made) as shown:
        shown.message("a line that stays")
        shown.refresh(state(search(), folder=tmp_path))
        during = written(made)
    assert "trial 10" in during and "9/24" in during
    after = written(made)[len(during) :]
    assert "trial 10" not in after
    assert "\x1b[2K" in after  # the lines of the view are erased


def test_a_terminal_is_refreshed_a_few_times_a_second(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    made = terminal()
    with Terminal(made) as shown:
        for _ in range(100):  # a second
            now += 0.01
            shown.refresh(state(search(), folder=tmp_path))
    assert 3 <= written(made).count("3m 00s so far") <= 5


def test_a_bar_is_removed_when_the_preparation_is_done() -> None:
    made = terminal()
    with Terminal(made) as shown:
        shown.progress("decoding", 1, 3)
        assert "1 of 3" in written(made)
        shown.progress("decoding", 3, 3)
    assert "3 of 3" not in written(made)


def test_an_uncounted_preparation_is_named_while_it_runs() -> None:
    made, log = terminal(), console()
    for where in (made, log):
        with Terminal(where) as shown:
            shown.progress("scoring", 3, 3)
            shown.progress("comparing", 0, 0)
            during = written(where)
            shown.progress("comparing", 1, 0)
        assert "comparing" in during and " of 0" not in during
        assert "comparing" not in written(where)[len(during) :]
    assert written(log).splitlines() == ["scoring: 3 of 3", "comparing"]


def test_a_dumb_terminal_gets_plain_lines() -> None:
    file = io.StringIO()
    made = Console(file=file, force_terminal=True, _environ={"TERM": "dumb"}, color_system=None)
    with Terminal(made) as shown:
        shown.progress("decoding", 3, 3)
    assert file.getvalue() == "decoding: 3 of 3\n"


def test_an_error_leaves_the_console_clean(tmp_path: Path) -> None:
    made = terminal()
    with pytest.raises(KeyboardInterrupt), Terminal(made) as shown:
        shown.refresh(state(search(), folder=tmp_path))
        raise KeyboardInterrupt
    assert written(made).endswith("\x1b[?25h") or "\x1b[?25h" in written(made)


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
    assert "stopped after" in text and "left" not in text
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
    assert "until a limit of the budget is reached" in text


def test_the_time_left_is_shown_until_the_search_is_done(tmp_path: Path) -> None:
    """One trial of 40 kimg took 100 s."""
    ended = outcome("completed", value=1.0)
    done = [replace(trial(0, ended), begun=1000.0, ended=1100.0)]
    of = state(done, folder=tmp_path, planned_trials=4, planned_finalists=0)
    assert "3m 00s so far, about 5 min left" in shown(ProgressView(of))
    assert "left" not in shown(ProgressView(replace(of, planned_trials=1)))


LIMIT = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(live, "_PAUSE_FACTOR", 0)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Watched:
    """Watching in a thread of its own."""

    def __init__(self, name: str, made: Console) -> None:
        self.console = made
        self.is_over: bool | None = None
        self._thread = threading.Thread(target=self._run, args=(name,), daemon=True)
        self._thread.start()

    def _run(self, name: str) -> None:
        self.is_over = watch_run(name, self.console)

    def end(self) -> bool:
        self._thread.join(LIMIT)
        assert self.is_over is not None
        return self.is_over


def test_a_search_is_followed_to_its_end(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    write_start(driver.folder)
    with driver.folder.locked():
        driver.folder.log.write_text("2026-01-01 10:00:00 long ago\n")
        watched = Watched(str(driver.folder.path), terminal())
        until(lambda: "no score yet" in written(watched.console))
        work = driver.next_assignment()
        assert isinstance(work, Assignment)
        train(driver, work, lambda config: 7.25)
        with driver.folder.log.open("a") as log:
            log.write("2026-01-01 10:00:01 trials/0000 completed\nhalf a li")
        until(lambda: "7.25" in written(watched.console))
        until(lambda: "trials/0000 completed" in written(watched.console))
        play(driver, curve)
    assert watched.end() is True
    text = written(watched.console)
    assert text.count("long ago") == text.count("trials/0000 completed") == 1
    assert "half a li" not in text and "all of it" in text and "gantune train" in text


def test_in_a_log_there_is_a_line_at_once_and_the_summary(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    write_start(driver.folder)
    with driver.folder.locked():
        watched = Watched(str(driver.folder.path), console())
        until(lambda: written(watched.console) != "")
        assert written(watched.console).startswith("0 of 8 trials")
        play(driver, curve)
    assert watched.end() is True
    assert written(watched.console).count("of 8 trials") == 1  # the next comes after a minute


def test_a_search_that_is_not_running_shows_its_status_at_once(tmp_path: Path) -> None:
    folder = played_run(tmp_path, stop_after=3)
    made = console()
    assert watch_run(str(folder.path), made) is False
    assert "stopped; resume with: gantune search toy\n" in written(made)
    played_run(tmp_path)
    made = console()
    assert watch_run(str(folder.path), made) is True
    assert "all of it" in written(made) and "resume with" not in written(made)


def test_a_search_in_preparation_is_waited_for(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        watched = Watched(str(folder.path), console())
        until(lambda: "being prepared" in written(watched.console))
        played_run(tmp_path)
    assert watched.end() is True


def test_a_search_resumed_with_more_trials_is_read_again(tmp_path: Path) -> None:
    folder = played_run(tmp_path, stop_after=2)
    with folder.locked():
        watched = Watched(str(folder.path), terminal())
        until(lambda: "/8" in written(watched.console))
        write_text(folder.space, SPACE.replace("trials: 8", "trials: 12"))
        write_text(folder.info, folder.info.read_text().replace('"begun": 0.0', '"begun": 1.0'))
        until(lambda: "/12" in written(watched.console))
    assert watched.end() is False


def test_a_name_without_a_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="dcgn: no such run"):
        watch_run("dcgn", console())
