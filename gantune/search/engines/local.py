"""The local engine: a loop around the driver, with one warm worker process per slot."""

from __future__ import annotations

import signal
import time
from collections.abc import Sequence
from multiprocessing.connection import wait
from typing import Any

from gantune.errors import TrainingError
from gantune.search.driver import Driver
from gantune.search.engines.messages import Beat, Crashed, Ended, Ready, Rung, Task
from gantune.search.engines.retries import (
    TRIES,
    crashed_outcome,
    disk_full,
    silence_words,
    trying_again,
)
from gantune.search.engines.slot import Slot
from gantune.search.folder import RunFolder
from gantune.search.records import Assignment, Done, Outcome, Wait
from gantune.search.results import describe_outcome
from gantune.search.state import Watcher

__all__ = ["LocalEngine"]

_REFRESH = 0.25  # seconds from one look at the state to the next


class LocalEngine:
    """Runs a driver's assignments on worker processes of this machine, one for each task."""

    def __init__(self, driver: Driver, tasks: Sequence[Task], watcher: Watcher) -> None:
        self._driver, self._watcher = driver, watcher
        count, devices = len(tasks), ", ".join(dict.fromkeys(task.device for task in tasks))
        watcher.say(f"starting {count} worker{'s' * (count > 1)} on {devices}")
        self._slots = [Slot(task) for task in tasks]
        self._tries: dict[str, int] = {}
        self._stillborn = 0  # workers in a row that died before they were ready
        self._listened = time.monotonic()

    def run(self) -> None:
        """Returns once the driver has nothing left.

        Raises ``TrainingError`` if a worker dies before it is ready or too many trials crash, and
        ``RunError`` if the disk is full.
        """
        try:
            while not self._is_done():
                self._listen()
                self._watcher.refresh(self._driver.state())
        finally:
            for slot in self._slots:
                slot.end()

    def _is_done(self) -> bool:
        for slot in self._slots:
            if slot.is_idle:
                work = self._driver.suggest()
                if isinstance(work, Done):
                    return True
                if isinstance(work, Wait):
                    break
                self._start(slot, work)
        return False

    def _start(self, slot: Slot, assignment: Assignment) -> None:
        self._tries[assignment.name] = self._tries.get(assignment.name, 0) + 1
        slot.send(assignment)
        slot.assignment = assignment

    def _listen(self) -> None:
        by_connection: dict[Any, Slot] = {slot.connection: slot for slot in self._slots}
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

    def _look_after(self, silent: Sequence[Slot]) -> None:
        """Replaces workers that are gone without a word, or have said nothing for too long."""
        now = time.monotonic()
        # However long this process itself was held up, nobody is blamed for it.
        passed, self._listened = min(now - self._listened, 4 * _REFRESH), now
        limit = self._driver.space.budget.heartbeat
        for slot in silent:
            slot.silence = slot.silence + passed if slot.is_busy else 0.0
            if slot.has_died and not slot.connection.poll():
                self._bury(slot)
            elif slot.silence > limit:
                self._bury(slot, silence_words(limit))

    def _take(self, slot: Slot, message: object) -> None:
        if isinstance(message, Ready):
            slot.is_ready = True
            self._driver.add_readying(message.scoring_seconds)
        elif isinstance(message, Beat):
            return
        elif isinstance(message, Rung):
            slot.send(self._driver.report(message.name, message.report))
        elif isinstance(message, Ended):
            slot.assignment = None
            self._finish(message.name, message.outcome)
        elif isinstance(message, Crashed):
            if message.kind == "disk":
                raise disk_full(message.name)
            self._try_again(slot, message.traceback)

    def _bury(self, slot: Slot, why: str = "") -> None:
        """Replaces a worker that died, or is ended, and has its trial tried again."""
        code = slot.end()
        how = why or f"the worker died with {_exit_words(code)}"
        self._stillborn = 0 if slot.is_ready else self._stillborn + 1
        if self._stillborn > TRIES or not any(other.is_ready for other in self._slots):
            raise TrainingError(
                f"a worker died before it was ready (exit code {code}); what it printed stands in "
                f"{slot.task.folder / 'log.txt'}"
            )
        fresh = Slot(slot.task)
        self._slots[self._slots.index(slot)] = fresh
        cause = f"was ended ({why})" if why else f"died (exit code {code})"
        self._watcher.say(f"a worker {cause} and was replaced")
        if slot.assignment is not None:
            fresh.assignment = slot.assignment
            self._try_again(fresh, how)

    def _try_again(self, slot: Slot, error: str) -> None:
        assignment = slot.assignment
        assert assignment is not None
        slot.assignment = None
        if self._tries[assignment.name] < TRIES:
            self._watcher.say(trying_again(assignment.name))
            self._start(slot, assignment)
        else:
            place = RunFolder(slot.task.folder).trial(assignment.name)
            self._finish(assignment.name, crashed_outcome(place, error))

    def _finish(self, name: str, outcome: Outcome) -> None:
        self._driver.finish(name, outcome)
        self._watcher.say(describe_outcome(name, outcome))


def _exit_words(code: int) -> str:
    """``exit code 3``; of a signal also its name: ``exit code -11 (SIGSEGV)``."""
    names = {number.value: number.name for number in signal.Signals}
    return f"exit code {code} ({names[-code]})" if -code in names else f"exit code {code}"
