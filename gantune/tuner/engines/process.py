"""A process that the driver starts: connected to it, and never there longer than the driver is.

It and all that it starts are one process group, which ends as a whole.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import IO, Any

from gantune.events import Observer
from gantune.io.processes import Reaper, die_with_parent
from gantune.tuner.engines.messages import Heartbeat, Message

_PATIENCE = 5.0  # seconds that an ending process gets before it is killed


_GRACE = 1.0  # and what it has left behind


_END_GROUP = 'kill -s TERM -- "-$1"; sleep 1; kill -s KILL -- "-$1"'
"""First SIGTERM: Python's own process that removes shared memory lives through it, and does its
work once the others are gone."""


class Process:
    """Runs a module of gantune at once, with the descriptor of its connection as argument.

    ``withheld``: names of environment variables that it does not get.
    """

    def __init__(
        self,
        module: str,
        threads: int,
        output: IO[bytes] | int,
        withheld: Collection[str] = (),
    ) -> None:
        inherited = {name: value for name, value in os.environ.items() if name not in withheld}
        ours, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                env={**inherited, "OMP_NUM_THREADS": str(threads)},
                start_new_session=True,
            )
        self._reaper = Reaper(_END_GROUP, str(self._process.pid))
        self.connection: Connection = Connection(ours.detach())

    @property
    def has_died(self) -> bool:
        """Whether it is gone; a child of it may hold the connection open."""
        return self._process.poll() is not None

    def send(self, message: object) -> None:
        """Sends to it; one that is dead is noticed when it is listened to."""
        with suppress(BrokenPipeError, ConnectionResetError):
            self.connection.send(message)

    def terminate(self) -> None:
        """Asks it to end, and does not wait for that."""
        self._process.terminate()

    def end(self) -> int:
        """Ends it, waits for that, and ends what it has left behind; its exit code."""
        self.connection.close()
        self._process.terminate()
        try:
            return self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return self._process.wait()
        finally:
            self._end_group()
            self._reaper.end()

    def _end_group(self) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGTERM)
            end = time.monotonic() + _GRACE
            while time.monotonic() < end:
                os.killpg(self._process.pid, 0)  # fails once nobody is left
                time.sleep(0.02)
            os.killpg(self._process.pid, signal.SIGKILL)


def end_all(processes: Sequence[Process]) -> None:
    """Asks all to end at once, then ends one after the other."""
    for process in processes:
        process.terminate()
    for process in processes:
        process.end()


# A process's end of its connection to the driver that has started it.


_BEAT = 1.0  # seconds


class WorkerConnection(Observer):
    """The connection to the driver. Without a driver there is nothing to do: the process ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._last_beat = connection, -math.inf

    def send(self, message: object) -> None:
        """Sends to the driver."""
        try:
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
        """Has the driver tell the user."""
        self.send(Message(text))

    def beat(self) -> None:
        """Sends a sign of life, but no more than one a second."""
        now = time.monotonic()
        if now - self._last_beat >= _BEAT:
            self._last_beat = now
            self.send(Heartbeat())


def connect() -> WorkerConnection:
    """The connection that ``Process`` has given to this process, which ends with its driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it ends its processes
    die_with_parent()
    return WorkerConnection(Connection(int(sys.argv[1])))
