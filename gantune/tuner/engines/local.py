"""The local engine: a loop around the driver, with warm worker processes on this machine."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from multiprocessing.connection import wait
from os import SEEK_END
from typing import Any

from gantune.errors import TrainingError
from gantune.io.processes import describe_exit
from gantune.run_folder.run import RunFolder
from gantune.trial.devices import explain_gpu_error, last_error
from gantune.trial.process import Message, Process, Ready, TrialCrashed, end_all
from gantune.trial.records import (
    Assignment,
    Done,
    Outcome,
    PaceReport,
    RungReport,
    Wait,
    describe_outcome,
)
from gantune.tuner.driver import Driver
from gantune.tuner.engines import base
from gantune.tuner.state import SearchObserver

_REFRESH = 0.25  # seconds between two refreshes of the state
_LAST_BYTES = 65_536  # of the log, in which the error of a worker that has died is looked for


class LocalEngine:
    """Runs a driver's assignments on worker processes of this machine, one for each task."""

    def __init__(
        self, driver: Driver, tasks: Sequence[base.Task], observer: SearchObserver
    ) -> None:
        self._driver, self._observer = driver, observer
        count, devices = len(tasks), ", ".join(dict.fromkeys(task.device for task in tasks))
        observer.message(f"starting {count} worker{'s' * (count > 1)} on {devices}")
        self._workers = [Worker(task) for task in tasks]
        self._tries: dict[str, int] = {}
        self._failed_starts = 0  # workers in a row that died before they were ready
        self._last_check = time.monotonic()

    def run(self) -> None:
        """Returns once the driver has no more work.

        Raises ``TrainingError`` if no worker gets ready or too many trials crash, and ``RunError``
        if the disk is full.
        """
        try:
            while not self._assign():
                self._driver.flush_results()
                self._observer.refresh(self._driver.state())
                self._receive()
        finally:
            end_all(self._workers)

    def _assign(self) -> bool:
        """Gives every idle worker its next trial; returns whether the search is done."""
        for worker in self._workers:
            if worker.is_idle:
                work = self._driver.next_assignment()
                if isinstance(work, Done):
                    return True
                if isinstance(work, Wait):
                    break
                self._start(worker, work)
        return False

    def _start(self, worker: Worker, assignment: Assignment) -> None:
        self._tries[assignment.name] = self._tries.get(assignment.name, 0) + 1
        worker.send(assignment)
        worker.assignment = assignment

    def _receive(self) -> None:
        """Waits briefly for messages, and handles one message of each worker that sent some."""
        by_connection: dict[Any, Worker] = {w.connection: w for w in self._workers}
        active = [by_connection[found] for found in wait(list(by_connection), timeout=_REFRESH)]
        for worker in active:
            try:
                message = worker.connection.recv()
            except (EOFError, ConnectionResetError):
                self._replace_worker(worker)
                continue
            worker.silence = 0.0
            self._handle(worker, message)
        self._check_silent([worker for worker in self._workers if worker not in active])

    def _handle(self, worker: Worker, message: object) -> None:
        if isinstance(message, Ready):
            worker.is_ready, self._failed_starts = True, 0
            self._driver.add_warmup_seconds(message.scoring_seconds)
        elif isinstance(message, Message):
            self._observer.message(message.text)
        elif isinstance(message, RungReport | PaceReport):
            worker.send(self._driver.report(worker.trial, message))
        elif isinstance(message, Outcome):
            self._finish(worker, message)
        elif isinstance(message, TrialCrashed):
            if message.is_disk_full:
                raise base.disk_full_error(worker.trial)
            self._retry_or_fail(worker, message.traceback)

    def _check_silent(self, silent: Sequence[Worker]) -> None:
        """Replaces workers that have died, or have sent no heartbeat for too long."""
        now = time.monotonic()
        # A pause of this process itself does not count as silence of a worker.
        passed, self._last_check = min(now - self._last_check, 4 * _REFRESH), now
        heartbeat = self._driver.space.budget.heartbeat
        for worker in silent:
            worker.silence = 0.0 if worker.is_idle else worker.silence + passed
            limit = heartbeat if worker.is_ready else max(heartbeat, base.START_TIMEOUT)
            if worker.has_died and not worker.connection.poll():
                self._replace_worker(worker)
            elif worker.silence > limit:
                self._replace_worker(worker, base.timeout_reason(limit))

    def _replace_worker(self, worker: Worker, timeout: str = "") -> None:
        """Replaces a worker that has died, or is ended after a timeout, and retries its trial."""
        exit_text = describe_exit(code := worker.end())
        error = worker.last_error() if code > 0 and not timeout else ""  # a signal has none
        exit_text += f": {error}" if error else ""
        if not worker.is_ready:
            self._failed_starts += 1
            self._check_starts(worker, exit_text, timeout)
        replacement = Worker(worker.task)
        self._workers[self._workers.index(worker)] = replacement
        cause = f"was ended ({timeout})" if timeout else f"died with {exit_text}"
        self._observer.message(f"a worker {cause}; another takes its place")
        if worker.assignment is None:
            return
        replacement.assignment = worker.assignment
        if worker.is_ready:
            self._retry_or_fail(replacement, timeout or f"the worker died with {exit_text}")
        else:  # the trial has not started: this counts as no try
            replacement.send(worker.assignment)

    def _check_starts(self, worker: Worker, exit_text: str, timeout: str) -> None:
        """Raises ``TrainingError`` if no worker seems able to start."""
        output = f"its output is in {worker.task.folder / 'log.txt'}"
        if timeout and not any(other.is_ready for other in self._workers):
            raise TrainingError(
                f"a worker was ended before its first trial: {timeout}, while it read the images "
                f"and warmed up; {output}. If the start takes that long here, allow for it, such "
                "as with --set budget.heartbeat=1h"
            )
        if self._failed_starts > base.MAX_TRIES:
            raise TrainingError(
                f"{self._failed_starts} workers in a row died before their first trial, the last "
                f"with {exit_text}; {self._gpu_advice(worker, exit_text)}{output}"
            )

    def _gpu_advice(self, worker: Worker, error: str) -> str:
        """What an error about a GPU means, and what helps; empty for other errors."""
        if not (meaning := explain_gpu_error(error)):
            return ""
        devices = [other.task.device for other in self._workers]
        if devices.count(worker.task.device) > 1:
            few = f"--workers {len(set(devices))} gives each GPU one worker"
            return f"{meaning}; {few}; "
        return f"{meaning}; end that program, or name another GPU with --device; "

    def _retry_or_fail(self, worker: Worker, error: str) -> None:
        assignment = worker.assignment
        assert assignment is not None
        if self._tries[assignment.name] < base.MAX_TRIES:
            self._observer.message(base.retry_message(assignment.name))
            self._start(worker, assignment)
        else:
            folder = RunFolder(worker.task.folder).trial(assignment.name)
            self._finish(worker, base.crashed_outcome(folder, error))

    def _finish(self, worker: Worker, outcome: Outcome) -> None:
        assignment, worker.assignment = worker.assignment, None
        assert assignment is not None
        del self._tries[assignment.name]  # a paused trial may come again
        stored = self._driver.finish(assignment.name, outcome)
        self._observer.message(describe_outcome(assignment.title, stored))


class Worker(Process):
    """A worker process and its current trial; its output goes to the run's ``log.txt``."""

    def __init__(self, task: base.Task) -> None:
        self.task = task
        self.is_ready = False
        self.assignment: Assignment | None = None
        self.silence = 0.0
        """Seconds without a message, as far as the engine was listening."""
        with (task.folder / "log.txt").open("ab") as log:
            self._printed_from = log.tell()
            super().__init__(
                "gantune.tuner.engines.worker",
                task.threads,
                log,
                task.withheld,
                shares_gpu=task.shares_gpu,
            )
        self.send(task)

    def last_error(self) -> str:
        """The last error that it has printed, in one line; of others that have since, where they
        write at the same time."""
        with suppress(OSError), (self.task.folder / "log.txt").open("rb") as log:
            size = log.seek(0, SEEK_END)
            log.seek(max(self._printed_from, size - _LAST_BYTES))
            return last_error(log.read().decode(errors="replace"))
        return ""

    @property
    def is_idle(self) -> bool:
        """Whether it waits for an assignment."""
        return self.is_ready and self.assignment is None

    @property
    def trial(self) -> str:
        """Name of its current trial."""
        assert self.assignment is not None
        return self.assignment.name
