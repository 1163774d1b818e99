"""``run_trial``: trainer, health and scores joined. One run of training, wherever it runs."""

from __future__ import annotations

import torch

from gantune.gan.device_support import is_out_of_memory, peak_memory, release_memory
from gantune.gan.trainer import Trainer
from gantune.scores import RealImages
from gantune.search.records import Outcome
from gantune.search.session import Session

__all__ = ["run_trial"]


def run_trial(session: Session, real: RealImages, device: torch.device) -> Outcome:
    """Trains ``session.config`` on ``real`` until its budget, a verdict or the driver ends it.

    Running out of memory is an outcome; every other error is raised.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    outcome = _run(session, real, device)
    if outcome.ending == "out_of_memory":
        release_memory(device)  # after the trainer and the error's traceback have let go of it
    return outcome


def _run(session: Session, real: RealImages, device: torch.device) -> Outcome:
    trainer = None
    try:
        trainer = Trainer(session.config, real.learned, device, real.held_out)
        trainer.on_batch = session.beat
        session.begin(trainer)
        for tick in () if session.should_stop else trainer:
            session.report(tick)
            session.score_if_due(trainer)
            if session.should_stop:
                break
        return session.conclude(trainer)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return _out_of_memory(session, trainer, device)


def _out_of_memory(session: Session, trainer: Trainer | None, device: torch.device) -> Outcome:
    batch, parts = session.config.batch_size, session.config.accumulation
    shape = f"batch size {batch}"
    if parts > 1:
        shape += f" in {parts} parts of {batch // parts} images"
    whose = "" if device.type == "cuda" else " of this process"
    return Outcome(
        ending="out_of_memory",
        kimg=trainer.kimg if trainer else 0.0,
        step=trainer.step if trainer else 0,
        seconds=trainer.seconds if trainer else 0.0,
        scoring_seconds=session.scoring_seconds,
        error=f"out of memory on {device} at {shape}: peak {peak_memory(device):.2f} GiB{whose}; a "
        "smaller batch_size or network, or more accumulation, takes less",
    )
