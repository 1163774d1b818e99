"""``run_trial``: trainer, health and scores joined. One run of training, wherever it runs."""

from __future__ import annotations

import torch

from gantune.data import ImageSet
from gantune.gan.trainer import Trainer
from gantune.search.records import Outcome
from gantune.search.session import Session

__all__ = ["run_trial"]


def run_trial(session: Session, images: ImageSet, device: torch.device) -> Outcome:
    """Trains ``session.config`` on ``images`` until its budget, a verdict or the driver ends it.

    Running out of device memory is an outcome; every other error is raised.
    """
    trainer = None
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    try:
        trainer = Trainer(session.config, images, device)
        session.begin(trainer)
        for tick in () if session.should_stop else trainer:
            session.report(tick)
            session.score_if_due(trainer)
            if session.should_stop:
                break
        return session.conclude(trainer)
    except torch.OutOfMemoryError:
        return _out_of_memory(session, trainer, device)


def _out_of_memory(session: Session, trainer: Trainer | None, device: torch.device) -> Outcome:
    peak = torch.cuda.max_memory_allocated(device) / 2**30
    torch.cuda.empty_cache()
    return Outcome(
        ending="out_of_memory",
        kimg=trainer.kimg if trainer else 0.0,
        step=trainer.step if trainer else 0,
        seconds=trainer.seconds if trainer else 0.0,
        scoring_seconds=session.scoring_seconds,
        error=f"out of memory on {device} at batch size {session.config.batch_size}: "
        f"peak {peak:.2f} GiB",
    )
