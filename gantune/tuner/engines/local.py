"""The local engine: a loop around the driver, with one warm worker process per slot."""

from __future__ import annotations

import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import Any

from gantune.errors import TrainingError
from gantune.io.processes import exit_words
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome, describe_outcome
from gantune.tuner.driver import Driver
from gantune.tuner.engines.messages import Crashed, Ended, Message, Ready, Rung, Task
from gantune.tuner.engines.process import Process, end_all
from gantune.tuner.engines.retry_policy import (
    START,
    TRIES,
    crashed_outcome,
    disk_full,
    silence_words,
    trying_again,
)
from gantune.tuner.records import Done, Wait
from gantune.tuner.state import SearchObserver

_REFRESH = 0.25  # seconds from one look at the state to the next


class LocalEngine:
    """Runs a driver's assignments on worker processes of this machine, one for each task."""

    def __init__(self, driver: Driver, tasks: Sequence[Task], observer: SearchObserver) -> None:
        self._driver, self._observer = driver, observer
        count, devices = len(tasks), ", ".join(dict.fromkeys(task.device for task in tasks))
        observer.message(f"starting {count} worker{'s' * (count > 1)} on {devices}")
        self._slots = [Worker(task) for task in tasks]
        self._tries: dict[str, int] = {}
        self._stillborn = 0  # workers in a row that died before they were ready
        self._listened = time.monotonic()

    def run(self) -> None:
        """Returns once the driver has nothing left.

        Raises ``TrainingError`` if no worker gets ready or too many trials crash, and ``RunError``
        if the disk is full.
        """
        try:
            while not self._is_done():
                self._driver.flush_results()
                self._observer.refresh(self._driver.state())
                self._listen()
        finally:
            end_all(self._slots)

    def _is_done(self) -> bool:
        for slot in self._slots:
            if slot.is_idle:
                work = self._driver.next_assignment()
                if isinstance(work, Done):
                    return True
                if isinstance(work, Wait):
                    break
                self._start(slot, work)
        return False

    def _start(self, slot: Worker, assignment: Assignment) -> None:
        self._tries[assignment.name] = self._tries.get(assignment.name, 0) + 1
        slot.send(assignment)
        slot.assignment = assignment

    def _listen(self) -> None:
        by_connection: dict[Any, Worker] = {slot.connection: slot for slot in self._slots}
        heard = [by_connection[found] for found in wait(list(by_connection), timeout=_REFRESH)]
        for slot in heard:
            try:
                message = slot.connection.recv()
            except (EOFError, ConnectionResetError):
                self._bury(slot)
                continue
            slot.silence = 0.0
            self._take(slot, message)
        self._look_after([slot for slot in self._slots if slot not in heard])

    def _look_after(self, silent: Sequence[Worker]) -> None:
        """Replaces workers that are gone without a word, or have said nothing for too long."""
        now = time.monotonic()
        # However long this process itself was held up, nobody is blamed for it.
        passed, self._listened = min(now - self._listened, 4 * _REFRESH), now
        heartbeat = self._driver.space.budget.heartbeat
        for slot in silent:
            slot.silence = 0.0 if slot.is_idle else slot.silence + passed
            limit = heartbeat if slot.is_ready else max(heartbeat, START)
            if slot.has_died and not slot.connection.poll():
                self._bury(slot)
            elif slot.silence > limit:
                self._bury(slot, silence_words(limit))

    def _take(self, slot: Worker, message: object) -> None:
        if isinstance(message, Ready):
            slot.is_ready, self._stillborn = True, 0
            self._driver.add_warmup_seconds(message.scoring_seconds)
        elif isinstance(message, Message):
            self._observer.message(message.text)
        elif isinstance(message, Rung):
            slot.send(self._driver.report(message.name, message.report))
        elif isinstance(message, Ended):
            slot.assignment = None
            self._finish(message.name, message.outcome)
        elif isinstance(message, Crashed):
            if message.kind == "disk":
                raise disk_full(message.name)
            self._try_again(slot, message.traceback)

    def _bury(self, slot: Worker, why: str = "") -> None:
        """Replaces a worker that died, or is ended, and has its trial tried again."""
        how = exit_words(slot.end())
        if not slot.is_ready:
            self._stillborn += 1
            self._check_births(slot, how, why)
        fresh = Worker(slot.task)
        self._slots[self._slots.index(slot)] = fresh
        cause = f"was ended ({why})" if why else f"died with {how}"
        self._observer.message(f"a worker {cause}; another takes its place")
        if slot.assignment is None:
            return
        fresh.assignment = slot.assignment
        if slot.is_ready:
            self._try_again(fresh, why or f"the worker died with {how}")
        else:  # the trial has not begun: that was no try
            fresh.send(slot.assignment)

    def _check_births(self, slot: Worker, how: str, why: str) -> None:
        """Raises ``TrainingError`` where it looks as if no worker will ever be ready."""
        printed = f"what it printed stands in {slot.task.folder / 'log.txt'}"
        if why and not any(other.is_ready for other in self._slots):
            raise TrainingError(
                f"a worker was ended before its first trial: {why}, while it read the images and "
                f"warmed up; {printed}. If that takes so long here, allow for it, such as with "
                "--set budget.heartbeat=1h"
            )
        if self._stillborn > TRIES:
            raise TrainingError(
                f"{self._stillborn} workers in a row died before their first trial, the last with "
                f"{how}; {printed}"
            )

    def _try_again(self, slot: Worker, error: str) -> None:
        assignment = slot.assignment
        assert assignment is not None
        slot.assignment = None
        if self._tries[assignment.name] < TRIES:
            self._observer.message(trying_again(assignment.name))
            self._start(slot, assignment)
        else:
            place = RunFolder(slot.task.folder).trial(assignment.name)
            self._finish(assignment.name, crashed_outcome(place, error))

    def _finish(self, name: str, outcome: Outcome) -> None:
        self._driver.finish(name, outcome)
        self._observer.message(describe_outcome(name, outcome))


# One place for a worker: its process, and what it is doing.


class Worker(Process):
    """Starts its worker at once; what the worker prints goes to the run's ``log.txt``."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.is_ready = False
        self.assignment: Assignment | None = None
        self.silence = 0.0
        """Seconds since the worker was heard last, as far as somebody listened."""
        with (task.folder / "log.txt").open("ab") as log:
            super().__init__("gantune.tuner.engines.worker", task.threads, log, task.withheld)
        self.send(task)

    @property
    def is_idle(self) -> bool:
        """Whether it waits for an assignment."""
        return self.is_ready and self.assignment is None
