"""The local engine: with canned workers, and with real ones that are killed, hang or fill disks."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest

from gantune.config import TrialConfig
from gantune.errors import RunError, TrainingError
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Protocols
from gantune.scores.score import Protocol
from gantune.trial.process import Ready
from gantune.trial.records import Assignment, Done, Outcome, Wait
from gantune.tuner.driver import Driver
from gantune.tuner.engines import base, local
from gantune.tuner.engines.base import Task, timeout_reason
from gantune.tuner.engines.local import LocalEngine
from gantune.tuner.state import RunState, SearchObserver
from tests.forked import Forked
from tests.tuner.factory import make_driver, score, toy_space
from tests.tuner.own_trainers import write_own
from tests.tuner.searches import Listener, is_alive, run, wait_for, worker_processes

LIMIT = 240.0
"""Seconds for what takes a few on a quiet machine."""

# All real searches of this folder run on one worker of pytest-xdist, next to Ray's on another.
real_workers = [
    pytest.mark.integration,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("local"),
]


def integration(test: Callable[..., None]) -> Callable[..., None]:
    for mark in real_workers:
        test = mark(test)
    return test


class CannedWorker:
    """A worker that finishes a trial as soon as it gets it."""

    has_died = False

    def __init__(self, task: Task) -> None:
        self.task, self.is_ready, self.silence = task, False, 0.0
        self.assignment: Assignment | None = None
        self.connection, self._other = Pipe()
        self._other.send(Ready(0.0))

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.assignment is None

    @property
    def trial(self) -> str:
        assert self.assignment is not None
        return self.assignment.name

    def send(self, work: Assignment) -> None:
        assert isinstance(work.config, TrialConfig)
        value = 1e4 * float(work.config.generator.lr)
        self._other.send(Outcome("completed", 10.0, score=score(value)))

    def terminate(self) -> None:
        """Does nothing: there is no process."""

    def end(self) -> int:
        self.connection.close()
        self._other.close()
        return 0


class RecordingDriver(Driver):
    """Records the calls of the engine, in order."""

    calls: list[str]

    def next_assignment(self) -> Assignment | Wait | Done:
        self.calls.append("next_assignment")
        return super().next_assignment()

    def finish(self, name: str, outcome: Outcome) -> Outcome:
        self.calls.append("finish")
        return super().finish(name, outcome)

    def flush_results(self) -> None:
        self.calls.append("flush")
        super().flush_results()


@pytest.mark.parametrize("workers", [1, 2])
def test_results_are_written_after_every_idle_worker_has_its_next_trial(
    tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    driver.__class__ = RecordingDriver
    assert isinstance(driver, RecordingDriver)
    calls: list[str] = []
    driver.calls = calls
    monkeypatch.setattr(local, "Worker", CannedWorker)
    own = Protocol.external("score", "mine.py:train")
    config = driver.space.first_config()
    task = Task(driver.folder.path, None, Protocols(own, own), "cpu", 1, config)
    LocalEngine(driver, [task] * workers, SearchObserver()).run()
    assert driver.state().is_over and driver.folder.table.exists()
    ends = [place for place, call in enumerate(calls) if call == "finish"]
    assert len(ends) == 14  # eight trials and six finals
    for place in ends:
        following = next(call for call in calls[place:] if call != "finish")
        assert following == "next_assignment"
    assert calls.count("flush") >= len(ends) // workers


class BrokenWorker(local.Worker):
    """A worker that prints an error and dies before it is ready."""

    error, code = "", 1

    def __init__(self, task: Task) -> None:
        self.task, self.is_ready, self.silence = task, False, 0.0
        self.assignment = None
        self.connection, other = Pipe()
        other.close()
        with (task.folder / "log.txt").open("ab") as log:
            self._printed_from = log.tell()
            log.write(f"Traceback (most recent call last):\n  f()\n{self.error}\n".encode())

    @property
    def has_died(self) -> bool:
        return True

    def send(self, message: object) -> None:
        """Drops it."""

    def terminate(self) -> None:
        """Does nothing: there is no process."""

    def end(self) -> int:
        self.connection.close()
        return self.code


BUSY = "torch.AcceleratorError: CUDA error: CUDA-capable device(s) is/are busy or unavailable"


@pytest.mark.parametrize(
    ("devices", "error", "advice"),
    [
        (["cuda:0"] * 2, BUSY, ", which a search needs; --workers 1 gives each GPU one worker; "),
        (["cuda:0", "cuda:1"] * 2, BUSY, "; --workers 2 gives each GPU one worker; "),
        (["cuda:0"], BUSY, "end that program, or name another GPU with --device; "),
        (["cpu"], "ImportError: no odd", "ImportError: no odd; its output is in "),
    ],
)
def test_the_error_of_workers_that_die_is_told(
    tmp_path: Path,
    devices: list[str],
    error: str,
    advice: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    (driver.folder.path / "log.txt").write_text("Traceback (most recent call last):\nOther: x\n")
    monkeypatch.setattr(local, "Worker", BrokenWorker)
    monkeypatch.setattr(BrokenWorker, "error", error)
    own = Protocol.external("score", "mine.py:train")
    config = driver.space.first_config()
    tasks = [Task(driver.folder.path, None, Protocols(own, own), d, 1, config) for d in devices]
    observer = Listener(lambda state: None)
    with pytest.raises(TrainingError) as raised:
        LocalEngine(driver, tasks, observer).run()
    text = str(raised.value)
    start = f"3 workers in a row died before their first trial, the last with exit code 1: {error}"
    assert text.startswith(start) and advice in text and text.endswith("log.txt")
    assert ("exclusive mode" in text) == (error == BUSY)
    assert f"a worker died with exit code 1: {error}; another takes its place" in observer.lines


@pytest.mark.parametrize(("code", "is_logged"), [(-9, True), (1, False)])
def test_a_worker_that_is_killed_or_has_no_log_has_no_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, is_logged: bool
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    monkeypatch.setattr(local, "Worker", BrokenWorker)
    monkeypatch.setattr(BrokenWorker, "error", BUSY)
    monkeypatch.setattr(BrokenWorker, "code", code)
    own = Protocol.external("score", "mine.py:train")
    task = Task(
        driver.folder.path, None, Protocols(own, own), "cpu", 1, driver.space.first_config()
    )
    engine = LocalEngine(driver, [task], SearchObserver())
    if not is_logged:
        monkeypatch.setattr(local, "last_error", lambda text: (_ for _ in ()).throw(OSError))
    with pytest.raises(TrainingError, match=rf"the last with exit code {code}[^:]*; its output"):
        engine.run()


def test_a_timeout_is_a_round_duration() -> None:
    reasons = [timeout_reason(seconds) for seconds in (8, 90, 600)]
    assert reasons == [f"no report for {text} (budget.heartbeat)" for text in ("8s", "90s", "10m")]


@integration
def test_a_worker_without_memory_for_one_trial_trains_the_next(tiny_space: Path) -> None:
    """The worker may take little more memory than it has; one network needs far more than that."""
    text = tiny_space.read_text().replace("width: 4", "width: {choices: [4, 1024]}")
    starts = ", ".join(
        f"{{network.width: {width}, batch_size: 16, generator.lr: 2e-4}}" for width in (4, 1024, 4)
    )
    tiny_space.write_text(text.replace("{batch_size: 16, generator.lr: 2e-4}", starts))
    limited: list[int] = []

    def limit(state: RunState) -> None:
        (worker,) = worker_processes(os.getpid())
        pages = int(Path(f"/proc/{worker}/statm").read_text().split()[0])
        most = pages * os.sysconf("SC_PAGE_SIZE") + (128 << 20)
        resource.prlimit(worker, resource.RLIMIT_AS, (most, most))
        limited.append(worker)

    observer = Listener(limit)
    state = run(tiny_space, observer, overrides=("finalists.top=0",))
    assert limited
    assert state.outcome_counts == {"completed": 2, "out_of_memory": 1}
    (full,) = [t for t in state.trials if t.outcome and t.outcome.ending == "out_of_memory"]
    assert full.number == 1 and full.outcome is not None
    assert "out of memory on cpu at batch size 16: peak" in full.outcome.error
    assert not any("worker died" in line or "crashed" in line for line in observer.lines)


@integration
@pytest.mark.usefixtures("forked_workers")
def test_a_trial_that_crashes_twice_is_crashed_and_its_traceback_kept(tiny_space: Path) -> None:
    blocked = tiny_space.parent / "run/trials/0001/ticks.jsonl"
    blocked.mkdir(parents=True)
    state = run(tiny_space, overrides=("finalists.top=0",))
    assert state.outcome_counts == {"completed": 3, "crashed": 1}
    assert "IsADirectoryError" in (blocked.parent / "error.txt").read_text()


@integration
@pytest.mark.usefixtures("forked_workers")
def test_a_search_that_only_crashes_ends_with_the_first_traceback(tiny_space: Path) -> None:
    for number in range(2):
        (tiny_space.parent / f"run/trials/{number:04d}/ticks.jsonl").mkdir(parents=True)
    with pytest.raises(TrainingError, match=r"1 trials crashed(.|\n)*IsADirectoryError"):
        run(tiny_space, overrides=("budget.max_failed=0",))
    assert not worker_processes(os.getpid())


def without_durations(folder: TrialFolder) -> list[object]:
    """What a trial has recorded, except how long it took."""
    timed = ("seconds", "images_per_second", "scoring_seconds")
    lines = [*folder.ticks(), *folder.scores()]
    return [{key: value for key, value in line.items() if key not in timed} for line in lines]


@integration
@pytest.mark.usefixtures("one_core", "forked_workers")
def test_a_trial_whose_worker_is_killed_is_retried_with_the_same_result_bit_for_bit(
    tiny_space: Path,
) -> None:
    one = ("budget.trials=1", "finalists.top=0", "trial.kimg=1.2")
    run(tiny_space, out=tiny_space.parent / "whole", overrides=one)
    killed: list[float] = []

    class Killer(Listener):
        def refresh(self, state: RunState) -> None:
            folder = state.folder.trial("trials/0000")
            tick = folder.last_tick() if folder.last.exists() else None
            if not killed and tick is not None and tick["kimg"] > 0.7:
                killed.append(tick["kimg"])
                os.kill(worker_processes(os.getpid())[0], signal.SIGKILL)

    observer = Killer()
    state = run(tiny_space, observer, out=tiny_space.parent / "broken", overrides=one)
    assert killed and state.outcome_counts == {"completed": 1}
    assert any("(SIGKILL, ended from outside" in line for line in observer.lines)
    whole, broken = (tiny_space.parent / f"{name}/trials/0000" for name in ("whole", "broken"))
    assert without_durations(TrialFolder(whole)) == without_durations(TrialFolder(broken))
    log = (tiny_space.parent / "broken/log.txt").read_text()
    assert "(SIGKILL, ended from outside" in log and "tried once more" in log


@integration
@pytest.mark.usefixtures("one_core", "forked_workers")
def test_a_trial_whose_worker_is_killed_twice_is_crashed(tiny_space: Path) -> None:
    killed: list[float] = []

    class Killer(SearchObserver):
        def refresh(self, state: RunState) -> None:
            ticks = state.folder.path / "trials/0001/ticks.jsonl"
            is_training = ticks.exists() and ticks.stat().st_mtime > max(killed, default=0.0)
            workers = worker_processes(os.getpid())  # none where the last one was just killed
            if is_training and workers and len(killed) < 2:
                killed.append(time.time())
                os.kill(workers[0], signal.SIGKILL)

    few = ("budget.trials=2", "finalists.top=0", "trial.kimg=4")
    state = run(tiny_space, Killer(), overrides=few)
    assert state.outcome_counts == {"completed": 2, "crashed": 1}
    (crashed,) = [t for t in state.trials if t.outcome and t.outcome.ending == "crashed"]
    assert crashed.outcome is not None and crashed.number == 1
    assert "SIGKILL, ended from outside, as Linux does" in crashed.outcome.error


def break_workers(folder: Path, statement: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every worker execute a statement before it imports anything."""
    (folder / "sitecustomize.py").write_text(
        "import os, sys, time\n"
        "if 'gantune.tuner.engines.worker' in ' '.join(sys.orig_argv):\n"
        f"    {statement}\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{os.environ.get('PYTHONPATH', '')}")


@integration
@pytest.mark.usefixtures("one_core")
def test_a_worker_that_hangs_before_its_first_trial_is_ended(
    tiny_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if it read images from a network drive that does not answer."""
    monkeypatch.setattr(base, "START_TIMEOUT", 3.0)
    break_workers(tiny_space.parent, "time.sleep(600)", monkeypatch)
    with pytest.raises(
        TrainingError, match=r"ended before its first trial: no report for 3s \(budget.heartbeat\)"
    ):
        run(tiny_space, overrides=("budget.heartbeat=3s",))
    assert not worker_processes(os.getpid())


@integration
@pytest.mark.usefixtures("one_core")
def test_workers_that_never_get_ready_end_the_search(
    tiny_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    break_workers(tiny_space.parent, "os.kill(os.getpid(), 11)", monkeypatch)
    with pytest.raises(
        TrainingError, match=r"3 workers in a row died before their first trial.*SIGSEGV.*log.txt"
    ):
        run(tiny_space)


SHARES_MEMORY = """
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


@integration
@pytest.mark.usefixtures("forked_workers")
@pytest.mark.parametrize("is_killed", [True, False])
def test_shared_memory_and_children_do_not_outlive_a_trainer(
    tmp_path: Path, is_killed: bool
) -> None:
    write_own(tmp_path, SHARES_MEMORY)
    start = [sys.executable, "-m", "gantune", "search", "own.yaml", "--workers", "1"]
    driver = Forked(start, cwd=tmp_path, stdout=subprocess.DEVNULL)
    note = tmp_path / "left"

    def wait_for_trainer(former: str = "") -> tuple[str, int]:
        """Shared memory and child of the trainer that runs now."""
        wait_for(lambda: note.exists() and len(note.read_text().split()) == 2, LIMIT)
        wait_for(lambda: len(note.read_text().split()) == 2 and note.read_text() != former, LIMIT)
        name, child = note.read_text().split()
        assert Path("/dev/shm", name).exists() and is_alive(int(child))
        return name, int(child)

    def wait_until_gone(name: str, child: int) -> None:
        wait_for(lambda: not is_alive(child) and not Path("/dev/shm", name).exists())

    try:
        left = wait_for_trainer()
        if is_killed:
            os.kill(worker_processes(driver.pid)[0], signal.SIGKILL)
            retried = wait_for_trainer(" ".join(map(str, left)))
            wait_until_gone(*left)
            driver.kill()
            wait_until_gone(*retried)
        else:
            driver.send_signal(signal.SIGTERM)
            assert driver.wait(LIMIT) == 143
            wait_until_gone(*left)
    finally:
        driver.kill()
        driver.wait()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1.5 MB."""
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1500k", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "-l", str(place)], check=True)


def fill(disk: Path, leave: int) -> None:
    """Leaves so many bytes, in whole pages."""
    with (disk / "ballast").open("wb") as file:
        try:
            while True:
                file.write(b"x" * 4096)
                file.flush()
        except OSError:
            pass
        file.truncate(max(file.tell() - leave, 0))


def at_checkpoint(state: RunState) -> bool:
    return any(state.folder.trial(record.name).last.exists() for record in state.running)


def at_ticks(state: RunState) -> bool:
    return any(state.folder.trial(record.name).ticks() for record in state.running)


def at_outcome(state: RunState) -> bool:
    return bool(state.outcome_counts)


@integration
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small file system needs root")
@pytest.mark.parametrize(
    ("moment", "leave"),
    [(at_ticks, 0), (at_ticks, 8192), (at_checkpoint, 40_960), (at_outcome, 0), (at_outcome, 4096)],
)
@pytest.mark.usefixtures("one_core", "forked_workers")
def test_a_disk_that_fills_at_any_moment_ends_the_search_and_loses_nothing(
    tiny_space: Path, disk: Path, moment: Callable[[RunState], bool], leave: int
) -> None:
    """Ticks, log, checkpoints and journal: whatever is written next finds no space."""

    class Filler(SearchObserver):
        is_full = False

        def refresh(self, state: RunState) -> None:
            if not self.is_full and moment(state):
                self.is_full = True
                fill(disk, leave)

    overrides = ("budget.trials=2", "finalists.top=0", "trial.kimg=1.2")
    options: dict[str, Any] = {"out": disk / "run", "overrides": overrides}
    with pytest.raises(RunError, match=r"disk full.*free some space"):
        run(tiny_space, Filler(), **options)
    kept = {p: p.read_text() for p in disk.glob("run/trials/*/verdict.json")}
    assert not worker_processes(os.getpid())
    (disk / "ballast").unlink()
    state = run(tiny_space, **options)
    assert state.outcome_counts == {"completed": 2}
    assert all(path.read_text() == text for path, text in kept.items())
