"""One place for a worker: its process, the connection to it, and what it is doing.

A worker and all that its trainer starts are one process group, which ends as a whole.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from multiprocessing.connection import Connection

from gantune.search.engines.messages import Task
from gantune.search.records import Assignment

__all__ = ["Slot"]

_PATIENCE = 5.0  # seconds that an ending worker gets before it is killed
_REAPER = 'read -r _; kill -s KILL -- "-$1"'
"""Waits for the end of a pipe that the driver alone holds; so it outlives even a killed driver."""


class Slot:
    """Starts its worker at once; what the worker prints goes to the run's ``log.txt``."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.is_ready = False
        self.assignment: Assignment | None = None
        self.silence = 0.0
        """Seconds since the worker was heard last, as far as somebody listened."""
        ours, theirs = socket.socketpair()
        with theirs, (task.folder / "log.txt").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "gantune.search.engines.worker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(task),
                start_new_session=True,
            )
        self._reaper = subprocess.Popen(
            ["/bin/sh", "-c", _REAPER, "gantune-reaper", str(self._process.pid)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        self.connection: Connection = Connection(ours.detach())
        self.send(task)

    @property
    def is_idle(self) -> bool:
        """Whether it waits for an assignment."""
        return self.is_ready and self.assignment is None

    @property
    def is_busy(self) -> bool:
        """Whether it trains."""
        return self.is_ready and self.assignment is not None

    @property
    def has_died(self) -> bool:
        """Whether its process is gone; a child of it may hold the connection open."""
        return self._process.poll() is not None

    def send(self, message: object) -> None:
        """Sends to the worker; one that is dead is noticed when it is listened to."""
        try:
            self.connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            return

    def end(self) -> int:
        """Ends the worker, waits for it, and kills what it has left behind; its exit code."""
        self.connection.close()
        self._process.terminate()
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._reaper.kill()
            self._reaper.communicate()


def _environment(task: Task) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in task.withheld}
    return {**inherited, "OMP_NUM_THREADS": str(task.threads)}
