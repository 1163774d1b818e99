"""One place for a worker: its process, the connection to it, and what it is doing."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

from gantune.search.engines.messages import Task
from gantune.search.records import Assignment

__all__ = ["Slot"]

_PATIENCE = 5.0  # seconds that an ending worker gets before it is killed


class Slot:
    """Starts its worker at once; what the worker prints goes to the run's ``log.txt``."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.is_ready = False
        self.assignment: Assignment | None = None
        ours, theirs = socket.socketpair()
        with theirs, (task.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gantune.search.engines.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "OMP_NUM_THREADS": str(task.threads)},
            )
        self.connection: Connection = Connection(ours.detach())
        self.send(task)

    @property
    def is_idle(self) -> bool:
        """Whether it waits for an assignment."""
        return self.is_ready and self.assignment is None

    def send(self, message: object) -> None:
        """Sends to the worker; one that is dead is noticed when it is listened to."""
        try:
            self.connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return

    def end(self) -> int:
        """Ends the worker and waits for it; its exit code."""
        self.connection.close()
        self._process.terminate()
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
