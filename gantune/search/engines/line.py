"""A process's end of its connection to the driver that has started it."""

from __future__ import annotations

import math
import os
import signal
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

from gantune.events import Watcher
from gantune.io.processes import die_with_parent
from gantune.search.engines.messages import Beat, Said

__all__ = ["Line", "connect"]

_BEAT = 1.0  # seconds


class Line(Watcher):
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

    def say(self, text: str) -> None:
        """Has the driver tell the user."""
        self.send(Said(text))

    def beat(self) -> None:
        """Sends a sign of life, but no more than one a second."""
        now = time.monotonic()
        if now - self._last_beat >= _BEAT:
            self._last_beat = now
            self.send(Beat())


def connect() -> Line:
    """The connection that ``Process`` has given to this process, which ends with its driver."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it ends its processes
    die_with_parent()
    return Line(Connection(int(sys.argv[1])))
