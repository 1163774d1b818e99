"""``OwnSession``: what a trainer of the user's own is given to report to."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import torch

from gantune.errors import TrainerError, TrialStopped
from gantune.trial.external.run import OwnCourse
from gantune.trial.external.samples import Draw


class OwnSession:
    """One run, as its trainer sees it: ``trainer(config, session)``.

    For the process alone that the trainer is called in; in any other, methods raise
    ``TrainerError``.
    """

    def __init__(self, course: OwnCourse) -> None:
        self._course, self._process = course, os.getpid()

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far: what was reported last, 0 at first. Where the run
        goes on, what it had come to when ``checkpoint_dir`` was kept."""
        return self._course.kimg

    @property
    def device(self) -> torch.device:
        """Where this run is to train."""
        return self._course.device

    @property
    def checkpoint_dir(self) -> Path:
        """Folder for checkpoints, any files. It is copied at each rung; where the run goes on after
        a crash or a kill, it holds what it held at the last one."""
        return self._course.folder.checkpoints.absolute()

    @property
    def should_score(self) -> bool:
        """Whether a rung is due, so that a score is wanted now."""
        return self._course.is_due

    @property
    def should_stop(self) -> bool:
        """Whether to return: health gave a verdict, others did better, or the budget is used up."""
        return self._course.should_stop

    def report(self, *, kimg: float, **signals: Any) -> None:
        """Records how training goes: any numbers by name, those that health knows are judged.

        ``kimg``: thousands of real images that the discriminator has been shown, never less than
        before. Numbers may be 0-d tensors or NumPy's; ``None`` is left out. Raises ``TrainerError``
        for anything else, ``TrialStopped`` after ``should_stop``.
        """
        course = self._reached()
        at = _number("report", "kimg", kimg)
        if not 0 <= at < math.inf:
            raise TrainerError(f"session.report: kimg={at:g}: a finite number from 0 up is needed")
        if at < course.kimg:
            raise TrainerError(
                f"session.report: kimg={at:g} lies before {course.kimg:g}, which was reported "
                "already; kimg counts all real images of the run, session.kimg is where it goes on"
            )
        given = {name: value for name, value in signals.items() if value is not None}
        course.tick(at, {name: _number("report", name, value) for name, value in given.items()})

    def score(self, value: Any = None, *, images: Draw | None = None) -> None:
        """Scores the run: by a number of the trainer's own, or by its samples. Lower is better.

        ``value`` is always recorded; ``images`` is ``draw(n)`` or ``draw(n, generator)``, which
        gives n images, uint8 or floats in [-1, 1] of [n, C, H, W], and is called only where a rung
        is due. Raises ``TrainerError`` for anything else, ``TrialStopped`` after ``should_stop``.
        """
        course = self._reached()
        if (value is None) == (images is None):
            raise TrainerError("session.score: give either a number or images=, one of the two")
        if images is None:
            course.take_value(_number("score", "value", value))
        elif callable(images):
            course.take_images(images)
        else:
            raise TrainerError(
                f"session.score: images is a {type(images).__name__}; a function is needed that "
                "gives n images, as in images=lambda n: generator(torch.randn(n, 64))"
            )

    def _reached(self) -> OwnCourse:
        if os.getpid() != self._process:
            raise TrainerError(
                f"session: used in process {os.getpid()}, but it belongs to process "
                f"{self._process}; report from the process that the trainer was called in"
            )
        if self._course.should_stop:
            raise TrialStopped(self._course.reason)
        return self._course


def _number(method: str, name: str, value: Any) -> float:
    """A plain float of a number, a 0-d tensor or NumPy's scalar."""
    shape = getattr(value, "shape", ())
    if isinstance(value, torch.Tensor):
        value = value.detach()
    try:
        if len(shape) or isinstance(value, str | bytes):
            raise TypeError
        return float(value)
    except OverflowError:  # an integer beyond the floats
        return math.inf if value > 0 else -math.inf
    except (TypeError, ValueError):
        what = f"an array of shape {list(shape)}" if len(shape) else repr(value)[:60]
        raise TrainerError(f"session.{method}: {name} is {what}; a number is needed") from None
