"""The local engine's loop, with workers that only send messages."""

from __future__ import annotations

from multiprocessing import Pipe
from pathlib import Path

import pytest

from gantune.scores.evaluator import Protocols
from gantune.scores.protocol import Protocol
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.driver import Driver
from gantune.tuner.engines.local import LocalEngine
from gantune.tuner.engines.messages import Ended, Ready, Task
from gantune.tuner.records import Done, Wait
from gantune.tuner.state import SearchObserver
from tests.tuner.factory import make_driver, score, toy_space


class QuickSlot:
    """A worker that has trained a trial as soon as it gets it."""

    has_died = False

    def __init__(self, task: Task) -> None:
        self.task, self.is_ready, self.silence = task, False, 0.0
        self.assignment: Assignment | None = None
        self.connection, self._other = Pipe()
        self._other.send(Ready(0.0))

    @property
    def is_idle(self) -> bool:
        return self.is_ready and self.assignment is None

    def send(self, work: Assignment) -> None:
        value = 1e4 * float(work.config.generator.lr)
        self._other.send(Ended(work.name, Outcome("completed", 10.0, score=score(value))))

    def terminate(self) -> None:
        """Nothing: there is no process."""

    def end(self) -> int:
        self.connection.close()
        self._other.close()
        return 0


class Noting(Driver):
    """Notes what it is asked, in order."""

    asked: list[str]

    def next_assignment(self) -> Assignment | Wait | Done:
        self.asked.append("next_assignment")
        return super().next_assignment()

    def finish(self, name: str, outcome: Outcome) -> None:
        self.asked.append("finish")
        super().finish(name, outcome)

    def flush_results(self) -> None:
        self.asked.append("flush_results")
        super().flush_results()


@pytest.fixture
def driver(tmp_path: Path) -> Noting:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    driver.__class__ = Noting
    assert isinstance(driver, Noting)
    driver.asked = []
    return driver


@pytest.mark.parametrize("slots", [1, 2])
def test_results_are_written_once_every_free_worker_has_its_next_trial(
    driver: Noting, slots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantune.tuner.engines.local.Slot", QuickSlot)
    own = Protocol.external("score", "mine.py:train")
    config = driver.space.first_config()
    task = Task(driver.folder.path, None, Protocols(own, own), "cpu", 1, config)
    LocalEngine(driver, [task] * slots, SearchObserver()).run()
    assert driver.state().is_over and driver.folder.table.exists()
    asked = driver.asked
    ends = [place for place, what in enumerate(asked) if what == "finish"]
    assert len(ends) == 14  # eight trials and six finals
    for place in ends:
        following = next(what for what in asked[place:] if what != "finish")
        assert following == "next_assignment"
    assert asked.count("flush_results") >= len(ends) // slots
