"""Searches as commands that are killed, interrupted or started twice: nothing finished is lost."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from benchmarks.faults import Faults
from gantune.run_folder.run import RunFolder
from gantune.tuner.state import read_run
from tests.forked import Forked, run_forked
from tests.tuner.searches import is_alive, run, wait_for, worker_processes

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("kills"),
]

LIMIT = 240.0
"""Seconds for what takes a few on a quiet machine."""

ENDLESS = ("--trials", "1000")


def command(space: Path, *more: str, workers: int = 1) -> list[str]:
    out = str(space.parent / "run")
    start = [sys.executable, "-m", "gantune", "search", str(space), "--out", out]
    return [*start, "--workers", str(workers), "--device", "cpu", *more]


def status(space: Path, *more: str) -> str:
    shown = run_forked(["status", str(space.parent / "run"), *more])
    assert shown.returncode == 0
    return shown.stdout


def is_training(trial: Path) -> bool:
    return (trial / "ticks.jsonl").exists() and not (trial / "verdict.json").exists()


def test_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1000)
    print(f"seed {seed}")  # pytest shows it if the test fails
    faults = Faults(tmp_path, trials=4, kimg=4, seed=seed)  # longer than the kills last
    found = faults.play(drivers=2, workers=2)
    killed = {kind: len(moments) for kind, moments in found.killed.items()}
    assert killed == {"driver": 2, "worker": 2}
    assert sum(n for ending, n in found.endings.items() if ending != "crashed") == 4
    assert found.changed == found.twice == found.left == []
    assert max(found.gone) < 30
    shown = json.loads(status(tmp_path / "faults.yaml", "--json"))
    assert shown["trials"]["ended"] == sum(found.endings.values())


def interrupt(space: Path, number: signal.Signals) -> tuple[int, str]:
    """Starts or resumes a search, and sends a signal once a trial trains; its code and output."""
    trials = space.parent / "run/trials"
    before = {path: path.stat().st_mtime for path in trials.glob("*/ticks.jsonl")}

    def is_any_training() -> bool:
        return any(
            is_training(path.parent) and path.stat().st_mtime != before.get(path)
            for path in trials.glob("*/ticks.jsonl")
        )

    line = command(space, *ENDLESS, "--kimg", "2")
    driver = Forked(line, stdout=subprocess.PIPE, text=True)
    try:
        wait_for((trials / "0000/verdict.json").exists, LIMIT)
        wait_for(is_any_training, LIMIT)
        workers = worker_processes(driver.pid)
        driver.send_signal(number)
        output, _ = driver.communicate(timeout=LIMIT)
    finally:
        driver.kill()
        driver.wait()
    assert workers and not any(map(is_alive, workers))
    return driver.returncode, output


@pytest.mark.usefixtures("forked_workers")
def test_each_signal_ends_a_search_in_good_order_and_it_resumes(tiny_space: Path) -> None:
    for number, code in ((signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)):
        returned, output = interrupt(tiny_space, number)
        assert returned == code
        assert "resume     run the same command again; no finished trial is lost" in output
        state = read_run(RunFolder(tiny_space.parent / "run"))
        assert state.outcome_counts["completed"] >= 1 and state.seconds > 0
        shown = status(tiny_space)
        assert "\ninterrupted " in shown and "\nrunning" not in shown
        assert "stopped; resume with: gantune search" in shown


@pytest.mark.usefixtures("forked_workers")
def test_a_terminal_that_closes_ends_a_search_in_good_order(tiny_space: Path) -> None:
    ours, theirs = pty.openpty()
    driver = Forked(
        command(tiny_space, *ENDLESS),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        preexec_fn=_take_terminal,
    )
    os.close(theirs)
    try:
        os.set_blocking(ours, False)

        def has_ended() -> bool:
            with suppress(BlockingIOError):
                os.read(ours, 65536)  # a full terminal would block the driver
            return (tiny_space.parent / "run/trials/0000/verdict.json").exists()

        wait_for(has_ended, LIMIT)
        os.close(ours)
        assert driver.wait(LIMIT) == 129
    finally:
        driver.kill()
        driver.wait()
    assert read_run(RunFolder(tiny_space.parent / "run")).seconds > 0


def _take_terminal() -> None:
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_nohup_keeps_a_search_running(tiny_space: Path) -> None:
    few = command(tiny_space, "--trials", "1", "--set", "finalists.top=0")
    driver = subprocess.Popen(["nohup", *few], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(lambda: bool(worker_processes(driver.pid)), LIMIT)
        driver.send_signal(signal.SIGHUP)
        assert driver.wait(LIMIT) == 0
    finally:
        driver.kill()
        driver.wait()


@pytest.mark.usefixtures("forked_workers")
def test_a_killed_driver_leaves_no_process_and_its_search_resumes(tiny_space: Path) -> None:
    """Meanwhile a second command on its run folder is refused."""
    few = ("--kimg", "1.2", "--set", "finalists.top=0")
    long = command(tiny_space, *ENDLESS, *few, workers=2)
    driver = subprocess.Popen(long, stdout=subprocess.DEVNULL)
    folder = tiny_space.parent / "run"
    try:
        wait_for((folder / "run.json").exists, LIMIT)
        second = run_forked(long[3:])
        assert second.returncode == 2
        assert f"in use by another gantune (process {driver.pid})" in second.stderr
        assert driver.poll() is None
        first = folder / "trials/0000/verdict.json"
        wait_for(first.exists, LIMIT)
        wait_for(lambda: any(map(is_training, (folder / "trials").iterdir())), LIMIT)
        workers = worker_processes(driver.pid)
    finally:
        driver.kill()
        driver.wait()
    assert workers
    wait_for(lambda: not any(map(is_alive, workers)), 10)
    shown = status(tiny_space)
    assert "\ninterrupted " in shown and "\nrunning" not in shown
    verdict = first.read_text()
    started = len(read_run(RunFolder(folder)).trials)
    state = run(tiny_space, trials=started, kimg=1.2, overrides=("finalists.top=0",))
    assert first.read_text() == verdict
    assert state.outcome_counts == {"completed": started}
