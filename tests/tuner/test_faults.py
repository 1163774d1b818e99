"""The local engine under fire: kills, signals, hangs, full disks; what had ended stays."""

from __future__ import annotations

import json
import os
import pty
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import Faults
from gantune.errors import RunError, TrainingError
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.tuner.engines import local
from gantune.tuner.state import RunState, SearchObserver, read_run
from tests.tuner.own_trainers import write_own
from tests.tuner.test_local import SPACE, Listener, run, wait_for, worker_processes
from tests.tuner.test_own_trainer import is_alive

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

LIMIT = 240.0
"""Seconds for what takes a few on a machine of one's own."""


@pytest.fixture
def one_core() -> Iterator[None]:
    """One thread a worker, so that none waits for another: machines are shared."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)


@pytest.fixture
def space(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    return path


def test_nothing_is_lost_or_done_twice(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1000)
    print(f"seed {seed}")  # pytest shows it where the test fails
    faults = Faults(tmp_path, trials=6, kimg=6, seed=seed)  # longer than the kills last
    found = faults.play(drivers=3, workers=3)
    assert {kind: len(moments) for kind, moments in found.killed.items()} == {
        "driver": 3,
        "worker": 3,
    }
    assert sum(n for ending, n in found.endings.items() if ending != "crashed") == 6
    assert found.changed == found.twice == found.left == []
    assert max(found.gone) < 30
    status = subprocess.run(
        [sys.executable, "-m", "gantune", "status", str(faults.run.path), "--json"],
        capture_output=True,
        check=True,
    )
    assert json.loads(status.stdout)["trials"]["ended"] == sum(found.endings.values())


def command(space: Path, *more: str) -> list[str]:
    out = str(space.parent / "run")
    start = [sys.executable, "-m", "gantune", "search", str(space), "--out", out]
    return [*start, "--workers", "2", "--device", "cpu", *more]


LONG = ("--trials", "1000")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)]
)
def test_a_signal_ends_a_search_in_good_order(
    space: Path, number: signal.Signals, code: int
) -> None:
    long = command(space, *LONG, "--kimg", "2")
    driver = subprocess.Popen(long, stdout=subprocess.PIPE, text=True, preexec_fn=_heed_hangup)
    try:
        trials = space.parent / "run/trials"
        wait_for((trials / "0000/verdict.json").exists, LIMIT)
        wait_for(lambda: any(map(is_in_midst, trials.iterdir())), LIMIT)
        workers = worker_processes(driver.pid)
        driver.send_signal(number)
        said, _ = driver.communicate(timeout=LIMIT)
    finally:
        driver.kill()
        driver.wait()
    assert driver.returncode == code
    assert "resume     run the same command again; no finished trial is lost" in said
    assert workers and not any(map(is_alive, workers))
    state = read_run(RunFolder(space.parent / "run"))
    assert state.outcome_counts["completed"] >= 1 and state.seconds > 0
    shown = subprocess.run(
        [sys.executable, "-m", "gantune", "status", str(space.parent / "run")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "\ninterrupted " in shown and "\nrunning" not in shown
    assert "stopped; resume with: gantune search" in shown


def test_a_terminal_that_closes_ends_a_search_in_good_order(space: Path) -> None:
    ours, theirs = pty.openpty()
    driver = subprocess.Popen(
        command(space, *LONG),
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
                os.read(ours, 65536)  # else a full terminal would hold the driver up
            return (space.parent / "run/trials/0000/verdict.json").exists()

        wait_for(has_ended, LIMIT)
        os.close(ours)
        assert driver.wait(LIMIT) == 129
    finally:
        driver.kill()
        driver.wait()
    assert read_run(RunFolder(space.parent / "run")).seconds > 0


def is_in_midst(trial: Path) -> bool:
    """Whether a trial trains."""
    return (trial / "ticks.jsonl").exists() and not (trial / "verdict.json").exists()


def _heed_hangup() -> None:
    """Though the tests themselves run under ``nohup``."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def _take_terminal() -> None:
    import fcntl
    import termios

    _heed_hangup()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def test_nohup_keeps_a_search_running(space: Path) -> None:
    driver = subprocess.Popen(
        ["nohup", *command(space)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        wait_for(lambda: bool(worker_processes(driver.pid)), LIMIT)
        driver.send_signal(signal.SIGHUP)
        assert driver.wait(LIMIT) == 0
    finally:
        driver.kill()
        driver.wait()


def test_a_driver_killed_at_once_leaves_trials_that_wait(space: Path) -> None:
    driver = subprocess.Popen(command(space, *LONG), stdout=subprocess.DEVNULL)
    try:
        wait_for((space.parent / "run/trials/0001/ticks.jsonl").exists, LIMIT)
    finally:
        driver.kill()
        driver.wait()
    shown = subprocess.run(
        [sys.executable, "-m", "gantune", "status", str(space.parent / "run")],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    assert "\ninterrupted " in shown and "\nrunning" not in shown


def test_the_second_command_on_a_run_names_the_first(space: Path) -> None:
    driver = subprocess.Popen(command(space, *LONG), stdout=subprocess.DEVNULL)
    try:
        wait_for((space.parent / "run/run.json").exists, LIMIT)
        second = subprocess.run(command(space, *LONG), capture_output=True, text=True)
        assert second.returncode == 2
        assert f"in use by another gantune (process {driver.pid})" in second.stderr
        assert driver.poll() is None
    finally:
        driver.kill()
        driver.wait()


def steady(folder: TrialFolder) -> list[object]:
    """What a trial wrote, but for the time that it took."""
    timed = ("seconds", "images_per_second", "scoring_seconds")
    lines = [*folder.tick_lines(), *folder.scores()]
    return [{key: value for key, value in line.items() if key not in timed} for line in lines]


@pytest.mark.usefixtures("one_core")
def test_a_trial_that_is_tried_again_is_bit_for_bit_what_it_would_have_been(space: Path) -> None:
    few = ("budget.trials=1", "finalists.top=0", "trial.kimg=1.2")
    run(space, out=space.parent / "whole", overrides=few)
    killed: list[float] = []

    class Killer(SearchObserver):
        def refresh(self, state: RunState) -> None:
            place = state.folder.trial("trials/0000")
            tick = place.last_tick() if place.last.exists() else None
            if not killed and tick is not None and tick.kimg > 0.7:
                killed.append(tick.kimg)
                os.kill(worker_processes(os.getpid())[0], signal.SIGKILL)

    state = run(space, Killer(), out=space.parent / "broken", overrides=few)
    assert killed and state.outcome_counts == {"completed": 1}
    whole, broken = (space.parent / f"{name}/trials/0000" for name in ("whole", "broken"))
    assert steady(TrialFolder(whole)) == steady(TrialFolder(broken))
    log = (space.parent / "broken/log.txt").read_text()
    assert "(SIGKILL, ended from outside" in log and "tried once more" in log


@pytest.mark.usefixtures("one_core")
def test_a_worker_killed_at_every_try_is_a_crash_with_words(space: Path) -> None:
    killed: list[float] = []

    class Killer(SearchObserver):
        def refresh(self, state: RunState) -> None:
            ticks = state.folder.path / "trials/0001/ticks.jsonl"
            is_training = ticks.exists() and ticks.stat().st_mtime > max(killed, default=0.0)
            if is_training and len(killed) < 2:
                killed.append(time.time())
                os.kill(worker_processes(os.getpid())[0], signal.SIGKILL)

    state = run(space, Killer(), overrides=("finalists.top=0", "trial.kimg=1.2"))
    assert state.outcome_counts == {"completed": 3, "crashed": 1}
    (crashed,) = [t for t in state.trials if t.outcome and t.outcome.ending == "crashed"]
    assert crashed.outcome is not None and crashed.number == 1
    assert "SIGKILL, ended from outside, as Linux does" in crashed.outcome.error


@pytest.mark.usefixtures("one_core")
def test_a_worker_that_hangs_before_its_first_trial_is_ended(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It hangs while it imports what it needs: as in reading images from a dead network drive."""
    monkeypatch.setattr(local, "START", 3.0)
    (space.parent / "sitecustomize.py").write_text(
        "import sys, time\nif 'gantune.tuner.engines.worker' in ' '.join(sys.orig_argv):\n"
        "    time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{space.parent}:{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(
        TrainingError, match=r"ended before its first trial: no report for 3s \(budget.heartbeat\)"
    ):
        run(space, overrides=("budget.heartbeat=3s",))
    assert not worker_processes(os.getpid())


@pytest.mark.usefixtures("one_core")
def test_workers_that_never_get_ready_end_the_search(
    space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (space.parent / "sitecustomize.py").write_text(
        "import os, sys\nif 'gantune.tuner.engines.worker' in ' '.join(sys.orig_argv):\n"
        "    os.kill(os.getpid(), 11)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{space.parent}:{os.environ.get('PYTHONPATH', '')}")
    with pytest.raises(
        TrainingError, match=r"3 workers in a row died before their first trial.*SIGSEGV.*log.txt"
    ):
        run(space)


SHARING = """
import subprocess, time
from multiprocessing.shared_memory import SharedMemory
from pathlib import Path

def train(config, session):
    memory = SharedMemory(create=True, size=4096)
    child = subprocess.Popen(["sleep", "600"])
    (Path(__file__).parent / "left").write_text(f"{memory.name} {child.pid}")
    for step in range(1, 100_000):
        session.report(kimg=step / 1e5, d_loss=1.0)
        time.sleep(0.01)
"""


@pytest.mark.parametrize("victim", ["driver", "worker", "nobody"])
def test_shared_memory_and_children_do_not_outlive_a_trainer(tmp_path: Path, victim: str) -> None:
    write_own(tmp_path, SHARING)
    start = [sys.executable, "-m", "gantune", "search", "own.yaml", "--workers", "1"]
    driver = subprocess.Popen(start, cwd=tmp_path, stdout=subprocess.DEVNULL)
    note = tmp_path / "left"
    try:
        wait_for(lambda: note.exists() and len(note.read_text().split()) == 2, LIMIT)
        name, child = note.read_text().split()
        assert Path("/dev/shm", name).exists() and is_alive(int(child))
        if victim == "worker":
            os.kill(worker_processes(driver.pid)[0], signal.SIGKILL)
            wait_for(
                lambda: note.read_text() != f"{name} {child}", LIMIT
            )  # its trial is tried again
        elif victim == "driver":
            driver.kill()
        else:
            driver.send_signal(signal.SIGTERM)
            assert driver.wait(LIMIT) == 143
        wait_for(lambda: not is_alive(int(child)) and not Path("/dev/shm", name).exists())
    finally:
        driver.kill()
        driver.wait()
    name, child = note.read_text().split()
    wait_for(lambda: not is_alive(int(child)) and not Path("/dev/shm", name).exists())


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Leaves so many bytes, by pages."""
    with (disk / "ballast").open("wb") as file:
        try:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        except OSError:
            pass
        file.truncate(max(file.tell() - leave, 0))


def at_checkpoint(state: RunState, begun: list[str]) -> bool:
    return any(state.folder.trial(name).last.exists() for name in begun)


def at_ticks(state: RunState, begun: list[str]) -> bool:
    return any(state.folder.trial(name).ticks() for name in begun)


def at_ending(state: RunState, begun: list[str]) -> bool:
    return bool(state.outcome_counts)


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize(
    ("moment", "leave"),
    [(at_ticks, 0), (at_ticks, 8192), (at_checkpoint, 40_960), (at_ending, 0), (at_ending, 4096)],
)
@pytest.mark.usefixtures("one_core")
def test_a_disk_that_fills_at_any_moment_is_told_and_costs_nothing(
    space: Path, disk: Path, moment: Callable[[RunState, list[str]], bool], leave: int
) -> None:
    """Ticks, log, checkpoints and journal: whatever is written next finds no room."""

    class Filler(Listener):
        is_full = False

        def refresh(self, state: RunState) -> None:
            begun = [record.name for record in state.running]
            if not self.is_full and moment(state, begun):
                self.is_full = True
                fill(disk, leave)

    few: dict[str, Any] = {"out": disk / "run", "overrides": ("finalists.top=0", "trial.kimg=1.2")}
    with pytest.raises(RunError, match=r"disk full.*free some space"):
        run(space, Filler(), **few)
    kept = {p: p.read_text() for p in disk.glob("run/trials/*/verdict.json")}
    assert not worker_processes(os.getpid())
    (disk / "ballast").unlink()
    state = run(space, **few)
    assert state.outcome_counts == {"completed": 3}
    assert all(path.read_text() == text for path, text in kept.items())
