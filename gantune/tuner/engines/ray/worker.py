"""What trains on Ray: a trial in an actor's process, whose warm bench outlives it."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from gantune.events import LoggingBridge, Observer
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.engines.messages import Task
from gantune.tuner.engines.ray.files import Storage, packed, unpack
from gantune.tuner.engines.ray.watchdog import Watch
from gantune.tuner.engines.retry_policy import START


@dataclass(frozen=True)
class TrialJob:
    """What all trials of a search share."""

    key: str
    task: Task
    node: str
    """Ray's name of the machine where the run folder lies."""
    extractor: Any
    """Reference to the extractor's files, as ``dict[str, bytes]``."""
    storage: Storage
    heartbeat: float
    """Seconds without a sign of life after which a worker ends itself."""
    working_folder: str
    """Where the search was started; a trainer of the user's own is looked for there."""


@dataclass(frozen=True)
class TrialReport:
    """What a trial reports to the driver, beside its files."""

    what: RungReport | Outcome
    is_here: bool
    """Whether it trains in the run folder itself, so that the files are there already."""
    readying: float | None
    """Seconds that this worker took on scoring before its first trial, told once."""
    said: tuple[str, ...]
    """Lines for the user, such as that a checkpoint was refused."""


def train(config: Mapping[str, Any], job: TrialJob) -> None:
    """One trial, from the checkpoint that Tune or the run folder has of it.

    Ends as Tune ends a trial: a plain return would be one more report, to which nobody listens.
    """
    assignment = config["assignment"]
    if job.key not in _workers:
        _workers[job.key] = _Worker(job, assignment.name)
    _workers[job.key].train(assignment, config["start"])
    raise SystemExit


class _Worker:
    """An actor's process: on the driver's machine it trains in the run folder itself, elsewhere in
    a folder of its own, from which all goes through checkpoints.

    ``first``: name of the trial for which it makes itself ready.
    """

    def __init__(self, job: TrialJob, first: str) -> None:
        import ray

        _settle_process(job)
        self._job, self._watch, self._heard = job, Watch(job.heartbeat), _Heard()
        self._is_here = ray.get_runtime_context().get_node_id() == job.node
        self._folder = RunFolder(job.task.folder if self._is_here else scratch_folder())
        with self._watch.over(self._hung(first), START):
            if not self._is_here:
                self._folder.extractor.mkdir()
                for name, content in ray.get(job.extractor).items():
                    (self._folder.extractor / name).write_bytes(content)
            from gantune.tuner.engines.trial_host import make_bench

            task = replace(job.task, folder=self._folder.path)
            self._bench = make_bench(task, self._watch.beat)
        self._readying: float | None = self._bench.scoring_seconds

    def train(self, assignment: Assignment, start: Any) -> None:
        from ray import tune

        name, folder = assignment.name, self._folder.trial(assignment.name)
        if not self._is_here:
            shutil.rmtree(folder.path, ignore_errors=True)
            folder.path.mkdir(parents=True)
            checkpoint = tune.get_checkpoint() or start
            if checkpoint is not None:
                unpack(checkpoint, folder)

        goes_on = True

        def answer(report: RungReport) -> bool:
            nonlocal goes_on
            with self._watch.paused():
                goes_on = self._send(name, report)
            return goes_on

        with self._watch.over(self._hung(name)), LoggingBridge(self._heard):
            outcome = self._bench.run(assignment, answer, self._watch.beat)
        if goes_on:
            self._send(name, outcome)
        if not self._is_here:
            shutil.rmtree(folder.path, ignore_errors=True)

    def _hung(self, name: str) -> Callable[[float], None]:
        """Has the driver know, once this process is gone, that it was silent for how long."""

        def tell(limit: float) -> None:
            self._job.storage.write(f"hung/{name}", f"{limit}")

        return tell

    def _send(self, name: str, what: RungReport | Outcome) -> bool:
        """Reports with the trial's files; whether to go on."""
        from ray import tune

        sent = TrialReport(what, self._is_here, self._readying, self._heard.taken())
        self._readying = None
        has_ended = isinstance(what, Outcome)
        with packed(self._folder.trial(name), has_ended=has_ended) as parcel:
            checkpoint = tune.Checkpoint.from_directory(parcel)
            try:
                tune.report({"sent": sent}, checkpoint=checkpoint)
            except SystemExit:  # how Tune says no
                return False
        return True


class _Heard(Observer):
    """Keeps what is said until it is taken."""

    def __init__(self) -> None:
        self._lines: list[str] = []

    def message(self, text: str) -> None:
        """Keeps the line."""
        self._lines.append(text)

    def taken(self) -> tuple[str, ...]:
        """All lines since the last time."""
        lines, self._lines = self._lines, []
        return tuple(lines)


_workers: dict[str, _Worker] = {}
"""By the search's key: what makes an actor that Tune uses again a warm one."""


def _settle_process(job: TrialJob) -> None:
    """What a worker of the local engine has from its start."""
    os.environ["OMP_NUM_THREADS"] = str(job.task.threads)
    for name in job.task.withheld:
        os.environ.pop(name, None)
    # Tune waits so long for a stopped trial to return before it begins the next; ``Watch`` ends
    # one that never does.
    os.environ["TUNE_FUNCTION_THREAD_TIMEOUT_S"] = str(round(2 * job.heartbeat + 60))
    if Path(job.working_folder).is_dir():
        os.chdir(job.working_folder)


# A folder of a worker's own, on a machine that does not see the run folder.


_PREFIX = "gantune-trials-"


_LOCK = ".lock"


def scratch_folder() -> Path:
    """A new one, which goes when this process ends.

    Those of killed workers, which could not, go first: nobody holds their locks any more.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_unless_held(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = folder / f"{_LOCK}.new"
    fcntl.flock(os.open(lock, os.O_WRONLY | os.O_CREAT), fcntl.LOCK_EX)  # open until the end
    lock.rename(folder / _LOCK)  # held before anybody can find it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_unless_held(folder: Path) -> None:
    with suppress(OSError), (folder / _LOCK).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
