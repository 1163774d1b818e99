"""A child process, the connection between the two, and the messages on it.

A child never outlives the process that started it, its driver. With all that it starts it is one
process group, which is ended as a whole. A worker also sends each ``Report``, which the driver
answers with whether the trial continues, and the ``Outcome`` of each trial.
"""

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Collection, MutableMapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import IO, Any

from gantune.events import Observer
from gantune.io.allocator import keep_freed_memory
from gantune.io.processes import Reaper, die_with_parent

_TERMINATE_TIMEOUT = 5.0  # seconds from SIGTERM to SIGKILL for the process
_GROUP_TIMEOUT = 1.0  # the same for the rest of its process group
_HEARTBEAT_INTERVAL = 1.0  # seconds
_PROGRESS_INTERVAL = 0.1  # seconds

# SIGTERM comes first: Python's resource tracker, which removes shared memory, ignores it and does
# its work once the others are gone.
_END_GROUP = 'kill -s TERM -- "-$1"; sleep 1; kill -s KILL -- "-$1"'


@dataclass(frozen=True)
class Ready:
    """From a worker: it waits for an assignment."""

    scoring_seconds: float
    """Seconds spent on the extractor, the real images' features and the warm-up of scores."""


@dataclass(frozen=True)
class Heartbeat:
    """From a process: it is alive, whether it warms up or trains."""


@dataclass(frozen=True)
class Message:
    """From a process: a line for the user, such as that a checkpoint was refused."""

    text: str


@dataclass(frozen=True)
class Progress:
    """From a process: how far it is, as in ``Observer.progress``."""

    what: str
    done: int
    total: int
    note: str


@dataclass(frozen=True)
class TrialCrashed:
    """From a worker: its trial has failed."""

    traceback: str
    is_disk_full: bool


_ALLOCATOR = "PYTORCH_ALLOC_CONF"
_FORMER_ALLOCATOR = ("PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")


def share_gpu(variables: MutableMapping[str, str]) -> None:
    """Sets torch's allocator in the environment of one of several processes on a GPU, unless the
    user has: its segments then grow, so that less memory lies idle between the tensors."""
    if not any(name in variables for name in (_ALLOCATOR, *_FORMER_ALLOCATOR)):
        variables[_ALLOCATOR] = "expandable_segments:True"


class Process:
    """Starts a module of gantune as a child; its argument is the descriptor of the connection.

    ``withheld``: names of environment variables that it does not get. ``shares_gpu``: others use
    its GPU too.
    """

    def __init__(
        self,
        module: str,
        threads: int,
        output: IO[bytes] | int,
        withheld: Collection[str] = (),
        *,
        shares_gpu: bool = False,
    ) -> None:
        variables = {name: value for name, value in os.environ.items() if name not in withheld}
        variables["OMP_NUM_THREADS"] = str(threads)
        if shares_gpu:
            share_gpu(variables)
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env=variables,
                start_new_session=True,
            )
        self._reaper = Reaper(_END_GROUP, str(self._process.pid))
        self.connection: Connection = Connection(ours.detach())

    @property
    def has_died(self) -> bool:
        """Whether the process is gone, even if a child of it holds the connection open."""
        return self._process.poll() is not None

    def send(self, message: object) -> None:
        """Sends a message. If the process is dead, the next read of the connection shows it."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(message)

    def terminate(self) -> None:
        """Sends SIGTERM and does not wait."""
        self._process.terminate()

    def end(self) -> int:
        """Ends the process and its group, and waits for that; returns the exit code."""
        self.connection.close()
        self._process.terminate()
        try:
            return self._process.wait(_TERMINATE_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._end_group()
            self._reaper.cancel()

    def _end_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)
            deadline = time.monotonic() + _GROUP_TIMEOUT
            while time.monotonic() < deadline:
                os.killpg(self._process.pid, 0)  # fails once the group is empty
                time.sleep(0.02)
            os.killpg(self._process.pid, signal.SIGKILL)


def end_all(processes: Sequence[Process]) -> None:
    """Sends SIGTERM to all processes at once, then ends one after the other."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.end()


class WorkerConnection(Observer):
    """The child's end of the connection. If the driver is gone, the child exits.

    Any thread may send.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection, self._sending = connection, threading.Lock()
        self._last_heartbeat = self._last_progress = -math.inf

    def send(self, message: object) -> None:
        """Sends a message to the driver."""
        try:
            with self._sending:
                self._connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(1)

    def receive(self) -> Any:
        """Waits for the driver's next message."""
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            os._exit(1)

    def message(self, text: str) -> None:
        """Sends a line for the user."""
        self.send(Message(text))

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Sends how far this process is: the end, and ten times a second until then."""
        now = time.monotonic()
        if done >= total or now - self._last_progress >= _PROGRESS_INTERVAL:
            self._last_progress = now
            self.send(Progress(what, done, total, note))

    def heartbeat(self) -> None:
        """Sends a heartbeat, at most once a second."""
        now = time.monotonic()
        if now - self._last_heartbeat >= _HEARTBEAT_INTERVAL:
            self._last_heartbeat = now
            self.send(Heartbeat())


def connect() -> WorkerConnection:
    """Connects this process to the driver that started it with ``Process``, and ends with it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the driver, which ends this one
    die_with_parent()
    keep_freed_memory()
    return WorkerConnection(Connection(int(sys.argv[1])))
