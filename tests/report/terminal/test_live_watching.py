"""A search watched from outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from gantune.errors import RunError
from gantune.io.files import write_text
from gantune.report.terminal import live as watching
from gantune.report.terminal.live import watch_run
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment
from tests.played import curve, played_run, write_start
from tests.report.factory import console, written
from tests.report.terminal.test_live import terminal
from tests.tuner.factory import SPACE, make_driver, play, toy_space, train

LIMIT = 60.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_POLL_SECONDS", 0.01)
    monkeypatch.setattr(watching, "_PAUSE_FACTOR", 0)


def until(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


class Watched:
    """Watching in a thread of its own."""

    def __init__(self, name: str, made: Console) -> None:
        self.console, self.is_over = made, None
        self._thread = threading.Thread(target=self._run, args=(name,), daemon=True)
        self._thread.start()

    def _run(self, name: str) -> None:
        self.is_over = watch_run(name, self.console)  # type: ignore[assignment]

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
    assert "half a li" not in text and "Winner: trial" in text and "gantune train" in text


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


def test_one_that_is_not_running_is_told_at_once(tmp_path: Path) -> None:
    folder = played_run(tmp_path, stop_after=3)
    made = console()
    assert watch_run(str(folder.path), made) is False
    assert "stopped; resume with: gantune search toy\n" in written(made)
    played_run(tmp_path)
    made = console()
    assert watch_run(str(folder.path), made) is True
    assert "Winner: trial" in written(made) and "resume with" not in written(made)


def test_one_that_is_being_prepared_is_waited_for(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "run")
    with folder.locked():
        watched = Watched(str(folder.path), console())
        until(lambda: "being prepared" in written(watched.console))
        played_run(tmp_path)
    assert watched.end() is True


def test_one_that_goes_on_with_more_trials_is_read_anew(tmp_path: Path) -> None:
    folder = played_run(tmp_path, stop_after=2)
    with folder.locked():
        watched = Watched(str(folder.path), terminal())
        until(lambda: "/8" in written(watched.console))
        write_text(folder.space, SPACE.replace("trials: 8", "trials: 12"))
        write_text(folder.info, folder.info.read_text().replace('"begun": 0.0', '"begun": 1.0'))
        until(lambda: "/12" in written(watched.console))
    assert watched.end() is False


def test_a_name_that_is_no_run_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RunError, match="dcgn: no such run"):
        watch_run("dcgn", console())
