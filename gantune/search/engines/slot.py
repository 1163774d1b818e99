"""One place for a worker: its process, and what it is doing."""

from __future__ import annotations

from gantune.search.engines.messages import Task
from gantune.search.engines.process import Process
from gantune.trial.records import Assignment

__all__ = ["Slot"]


class Slot(Process):
    """Starts its worker at once; what the worker prints goes to the run's ``log.txt``."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.is_ready = False
        self.assignment: Assignment | None = None
        self.silence = 0.0
        """Seconds since the worker was heard last, as far as somebody listened."""
        with (task.folder / "log.txt").open("ab") as log:
            super().__init__("gantune.search.engines.worker", task.threads, log, task.withheld)
        self.send(task)

    @property
    def is_idle(self) -> bool:
        """Whether it waits for an assignment."""
        return self.is_ready and self.assignment is None
