"""A worker process: warm, pinned to one device and a number of threads, one trial at a time.

Started as ``python -m gantune.tuner.engines.worker FD`` and not through ``multiprocessing``, so
that a search begun from a script or a notebook needs no ``__main__`` guard.
"""

from __future__ import annotations

import traceback
from typing import Literal

from gantune.errors import is_disk_full
from gantune.events import LoggingBridge
from gantune.trial.records import Assignment, RungReport
from gantune.tuner.engines.messages import Crashed, Ended, Ready, Rung, Task
from gantune.tuner.engines.process import WorkerConnection, connect
from gantune.tuner.engines.trial_host import make_bench


def main() -> None:
    """Serves assignments until the connection closes."""
    line = connect()
    serve(line.receive(), line)


def serve(task: Task, line: WorkerConnection) -> None:
    """Warms up, says so, and trains what it is sent."""
    bench = make_bench(task, line.beat)
    line.send(Ready(bench.scoring_seconds))
    while True:
        assignment: Assignment = line.receive()
        name = assignment.name

        def answer(report: RungReport, name: str = name) -> bool:
            line.send(Rung(name, report))
            return bool(line.receive())

        try:
            with LoggingBridge(line):
                outcome = bench.run(assignment, answer, line.beat)
            line.send(Ended(name, outcome))
        except OSError as error:
            kind: Literal["error", "disk"] = "disk" if is_disk_full(error) else "error"
            line.send(Crashed(name, kind, traceback.format_exc()))
        except (Exception, KeyboardInterrupt):  # the latter is the trainer's: Ctrl-C is ignored
            line.send(Crashed(name, "error", traceback.format_exc()))


if __name__ == "__main__":
    main()
