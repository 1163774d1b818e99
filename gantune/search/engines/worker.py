"""A worker process: warm, pinned to one device and a number of threads, one trial at a time.

Started as ``python -m gantune.search.engines.worker FD`` and not through ``multiprocessing``, so
that a search begun from a script or a notebook needs no ``__main__`` guard.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
import traceback
from multiprocessing.connection import Connection
from typing import Literal

import torch

from gantune.config import TrialConfig
from gantune.data import ImageSet
from gantune.errors import DISK_FULL, ScoreError
from gantune.gan.memory import is_out_of_memory
from gantune.gan.trainer import Trainer
from gantune.scores import Evaluator, load_extractor
from gantune.search.engines.messages import Crashed, Ended, Ready, Rung, Task
from gantune.search.folder import RunFolder
from gantune.search.real_images import load_real_images
from gantune.search.records import Assignment, RungReport
from gantune.search.session import Session
from gantune.search.trial import run_trial

__all__ = ["main", "serve"]

_PR_SET_PDEATHSIG = 1


def main() -> None:
    """Serves assignments until the connection closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the driver's; it ends its workers
    _die_with_parent()
    connection = Connection(int(sys.argv[1]))
    try:
        task: Task = connection.recv()
        serve(task, connection)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        pass


def serve(task: Task, connection: Connection) -> None:
    """Warms up, says so, and trains what it is sent."""
    torch.set_num_threads(task.threads)
    device = torch.device(task.device)
    folder = RunFolder(task.folder)
    real = load_real_images(task.data)
    begun = time.perf_counter()
    extractor = load_extractor(folder.extractor, device)
    evaluator = Evaluator(extractor, real, task.protocols, device)
    made = time.perf_counter() - begun
    warmed = _warm_up(task.warm_up, real.learned, evaluator, device)
    connection.send(Ready(made + warmed))
    while True:
        assignment: Assignment = connection.recv()
        name = assignment.name

        def answer(report: RungReport, name: str = name) -> bool:
            connection.send(Rung(name, report))
            return bool(connection.recv())

        try:
            session = Session(assignment, folder.trial(name), evaluator, answer)
            connection.send(Ended(name, run_trial(session, real, device)))
        except (EOFError, BrokenPipeError, ConnectionResetError):
            raise
        except OSError as error:
            kind: Literal["error", "disk"] = "disk" if error.errno in DISK_FULL else "error"
            connection.send(Crashed(name, kind, traceback.format_exc()))
        except Exception:
            connection.send(Crashed(name, "error", traceback.format_exc()))


def _warm_up(
    config: TrialConfig, images: ImageSet, evaluator: Evaluator, device: torch.device
) -> float:
    """One step of training and one score, so that the first trial does not pay for the kernels;
    the score's seconds, 0 where it cannot be taken."""
    seconds = 0.0
    short = config.model_copy(update={"kimg": config.batch_size / 1000})
    try:
        trainer = Trainer(short, images, device)
        for _ in trainer:
            begun = time.perf_counter()
            evaluator.score(trainer.sample)
            seconds += time.perf_counter() - begun
    except Exception as error:
        if not isinstance(error, ScoreError) and not is_out_of_memory(error):
            raise  # the other two the trial itself will say
    return seconds


def _die_with_parent() -> None:
    """Asks Linux to end this process with the one that started it, however that ends."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main()
