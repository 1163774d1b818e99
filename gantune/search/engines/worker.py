"""A worker process: warm, pinned to one device and a number of threads, one trial at a time.

Started as ``python -m gantune.search.engines.worker FD`` and not through ``multiprocessing``, so
that a search begun from a script or a notebook needs no ``__main__`` guard.
"""

from __future__ import annotations

import math
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Any, Literal

from gantune.errors import DISK_FULL
from gantune.search.engines.bench import make_bench
from gantune.search.engines.messages import Beat, Crashed, Ended, Ready, Rung, Task
from gantune.search.engines.parent import die_with_parent
from gantune.search.records import Assignment, RungReport

__all__ = ["main", "serve"]

_BEAT = 1.0  # seconds


def main() -> None:
    """Serves assignments until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it ends its workers
    die_with_parent()
    line = _Line(Connection(int(sys.argv[1])))
    serve(line.receive(), line)


class _Line:
    """The connection to the driver. Without a driver there is nothing to do: the process ends."""

    def __init__(self, connection: Connection) -> None:
        self._connection, self._last_beat = connection, -math.inf

    def send(self, message: object) -> None:
        try:
            self._connection.send(message)
        except (BrokenPipeError, ConnectionResetError):
            os._exit(1)

    def receive(self) -> Any:
        try:
            return self._connection.recv()
        except (EOFError, ConnectionResetError):
            os._exit(1)

    def beat(self) -> None:
        """Sends a sign of life, but no more than one a second."""
        now = time.monotonic()
        if now - self._last_beat >= _BEAT:
            self._last_beat = now
            self.send(Beat())


def serve(task: Task, line: _Line) -> None:
    """Warms up, says so, and trains what it is sent."""
    bench = make_bench(task)
    line.send(Ready(bench.scoring_seconds))
    while True:
        assignment: Assignment = line.receive()
        name = assignment.name

        def answer(report: RungReport, name: str = name) -> bool:
            line.send(Rung(name, report))
            return bool(line.receive())

        try:
            line.send(Ended(name, bench.run(assignment, answer, line.beat)))
        except OSError as error:
            kind: Literal["error", "disk"] = "disk" if error.errno in DISK_FULL else "error"
            line.send(Crashed(name, kind, traceback.format_exc()))
        except (Exception, KeyboardInterrupt):  # the latter is the trainer's: Ctrl-C is ignored
            line.send(Crashed(name, "error", traceback.format_exc()))


if __name__ == "__main__":
    main()
