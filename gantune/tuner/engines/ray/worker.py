"""A worker on Ray: the process of an actor, which stays warm from one trial to the next."""

import atexit
import faulthandler
import fcntl
import os
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from gantune.events import LoggingBridge, Observer
from gantune.io.allocator import keep_freed_memory
from gantune.io.files import write_bytes
from gantune.io.processes import descendants
from gantune.io.trust import allow_everything
from gantune.run_folder.run import RunFolder
from gantune.trial.process import share_gpu
from gantune.trial.records import Assignment, Outcome, Report
from gantune.tuner.engines.base import START_TIMEOUT, Task
from gantune.tuner.engines.ray.files import SharedFiles, export_files, import_files

_CHECK_INTERVAL = 0.25  # seconds between two checks for silence
_GRACE = 10.0  # more seconds for code that holds the interpreter, so that no thread can check

_SCRATCH_PREFIX = "gantune-trials-"
_LOCK = ".lock"


@dataclass(frozen=True)
class TrialJob:
    """What all trials of a search share."""

    key: str
    """The search's; a worker that Tune reuses finds its warm state by it."""
    task: Task
    node: str
    """Ray's id of the machine with the run folder."""
    extractor: Any
    """Reference to the extractor's files, as ``dict[str, bytes]``."""
    storage: SharedFiles
    heartbeat: float
    """Seconds without a heartbeat after which a worker ends itself."""
    working_folder: str
    """Where the search was started; an external trainer is imported from there."""


@dataclass(frozen=True)
class TrialReport:
    """What a trial reports to the driver, beside its files."""

    result: Report | Outcome
    is_local: bool
    """Whether it trains in the run folder itself, so that its files need no import."""
    warmup_seconds: float | None
    """Seconds of scoring before this worker's first trial; only in its first report."""
    messages: tuple[str, ...]
    """Lines for the user, such as that a checkpoint was refused."""


def train(config: Mapping[str, Any], job: TrialJob) -> None:
    """Trains one trial, from the checkpoint that Tune or the run folder has of it.

    Ends with ``SystemExit`` as Tune itself does: a plain return would send one more report.
    """
    assignment = config["assignment"]
    if job.key not in _workers:
        _workers[job.key] = _Worker(job, assignment.name)
    _workers[job.key].train(assignment, config["start"])
    raise SystemExit


class _Worker(Observer):
    """On the driver's machine it trains in the run folder itself. Elsewhere it trains in a scratch
    folder, and all files travel as checkpoints.

    Messages are kept until they are sent with the next report. ``first``: name of the trial during
    whose start it warms up.
    """

    def __init__(self, job: TrialJob, first: str) -> None:
        import ray

        # What a worker of the local engine has from its start:
        os.environ["OMP_NUM_THREADS"] = str(job.task.threads)
        for name in job.task.withheld:
            os.environ.pop(name, None)
        if job.task.shares_gpu:
            share_gpu(os.environ)
        if Path(job.working_folder).is_dir():
            os.chdir(job.working_folder)
        # Tune waits so long for a stopped trial to return before it starts the next; the watchdog
        # ends one that never does.
        os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(round(2 * job.heartbeat + 60))
        allow_everything()  # the driver has checked what it sends
        keep_freed_memory()
        self._job = job
        self._messages: list[str] = []
        self._watchdog = Watchdog(job.heartbeat)
        self._is_local = ray.get_runtime_context().get_node_id() == job.node
        self._folder = RunFolder(job.task.folder if self._is_local else scratch_folder())
        with self._watchdog.watching(partial(self._note_silence, first), START_TIMEOUT):
            if not self._is_local:
                for name, content in ray.get(job.extractor).items():
                    write_bytes(self._folder.extractor / name, content)
            from gantune.tuner.engines.worker import TrialHost

            task = replace(job.task, folder=self._folder.path)
            self._host = TrialHost(task, self._watchdog.heartbeat)
        self._warmup_seconds: float | None = self._host.scoring_seconds

    def train(self, assignment: Assignment, start: Any) -> None:
        from ray import tune

        name, folder = assignment.name, self._folder.trial(assignment.name)
        if not self._is_local:
            shutil.rmtree(folder.path, ignore_errors=True)
            folder.path.mkdir(parents=True)
            checkpoint = tune.get_checkpoint() or start
            if checkpoint is not None:
                import_files(checkpoint, folder)

        continues = True

        def ask_driver(report: Report) -> bool:
            nonlocal continues
            with self._watchdog.paused():
                continues = self._report(name, report)
            return continues

        note_silence = partial(self._note_silence, name)
        with self._watchdog.watching(note_silence), LoggingBridge(self):
            outcome = self._host.run(
                assignment, ask_driver, self._watchdog.heartbeat, sends_files=True
            )
        if continues:
            self._report(name, outcome)
        if not self._is_local:
            shutil.rmtree(folder.path, ignore_errors=True)

    def _report(self, name: str, result: Report | Outcome) -> bool:
        """Reports a result with the trial's files; whether to continue."""
        from ray import tune

        messages = tuple(self._messages)
        report = TrialReport(result, self._is_local, self._warmup_seconds, messages)
        self._warmup_seconds = None
        self._messages.clear()
        has_ended = isinstance(result, Outcome)
        with export_files(self._folder.trial(name), has_ended=has_ended) as exported:
            checkpoint = tune.Checkpoint.from_directory(exported)
            try:
                tune.report({"report": report}, checkpoint=checkpoint)
            except SystemExit:  # how Tune stops a trial
                return False
        return True

    def _note_silence(self, name: str, limit: float) -> None:
        """Writes how long this process was silent; the driver reads it once the process is gone."""
        self._job.storage.write(f"hung/{name}", f"{limit}")

    def message(self, text: str) -> None:
        """Keeps a line for the user."""
        self._messages.append(text)


_workers: dict[str, _Worker] = {}
"""By the search's key: Tune reuses actors, and so a worker stays warm."""


class Watchdog:
    """Ends its own process if a trial, or the warm-up, sends no heartbeat for too long.

    It counts on a thread of its own, as Ray's actors have no connection for heartbeats. Code that
    holds the interpreter all the time stops that thread too. Then ``faulthandler``, which needs no
    interpreter, ends the process.
    """

    def __init__(self, limit: float) -> None:
        self._usual, self._limit, self._silence, self._is_on = limit, limit, 0.0, False
        self._before_end: Callable[[float], None] = lambda limit: None
        threading.Thread(target=self._run, daemon=True).start()

    def heartbeat(self) -> None:
        """Resets the silence."""
        self._silence = 0.0

    @contextmanager
    def watching(
        self, before_end: Callable[[float], None], at_least: float = 0.0
    ) -> Iterator[None]:
        """Counts silence within the block.

        The limit is the usual one, but ``at_least`` so many seconds. ``before_end`` is called with
        it before the process is ended.
        """
        self._limit = max(self._usual, at_least)
        self._before_end, self._silence, self._is_on = before_end, 0.0, True
        try:
            yield
        finally:
            self._is_on = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Counts no silence while the trial waits for the driver's answer."""
        self._is_on = False
        try:
            yield
        finally:
            self._silence, self._is_on = 0.0, True

    def _run(self) -> None:
        before = time.monotonic()
        with Path(os.devnull).open("w") as devnull:
            while self._silence <= self._limit:
                if self._is_on:
                    faulthandler.dump_traceback_later(self._limit + _GRACE, exit=True, file=devnull)
                else:
                    faulthandler.cancel_dump_traceback_later()
                time.sleep(_CHECK_INTERVAL)
                now = time.monotonic()
                # A pause of the whole process does not count as silence of the trial.
                passed, before = min(now - before, 4 * _CHECK_INTERVAL), now
                self._silence = self._silence + passed if self._is_on else 0.0
        with suppress(Exception):  # the process must end, even if nobody can be told why
            self._before_end(self._limit)
        for process in (*descendants(os.getpid()), os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


def scratch_folder() -> Path:
    """A new temporary folder for trials, removed when this process ends.

    Folders of killed workers are removed first: nobody holds their locks any more.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_SCRATCH_PREFIX}*"):
        with suppress(OSError), (left / _LOCK).open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=_SCRATCH_PREFIX))
    lock = folder / f"{_LOCK}.new"
    fcntl.flock(os.open(lock, os.O_WRONLY | os.O_CREAT), fcntl.LOCK_EX)  # open until the end
    lock.rename(folder / _LOCK)  # locked before any other process can find it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
