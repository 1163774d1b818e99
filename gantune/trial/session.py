"""``Session``: what a trainer sees of its run: it is called as ``train(config, session)``.

A trainer reports ticks, is scored at rungs, and asks whether to stop.
"""

import logging
import math
import os
from pathlib import Path
from typing import Any

from gantune.errors import TrainerError, TrialStopped
from gantune.trial.process_state import ProcessState
from gantune.trial.records import Position
from gantune.trial.run import Run
from gantune.trial.trainer_input import (
    Draw,
    UserSamples,
    ValueRange,
    check_callable,
    check_value_range,
    checked_report,
    plain_number,
)

_log = logging.getLogger(__name__)


class Session(Run):
    """One run, as its trainer sees it: ``train(config, session)``.

    A trainer may use it only in the process that called it; in any other, ``report`` and ``score``
    raise ``TrainerError``.
    """

    own_state = ProcessState({})
    """The process as it was before a user's trainer was called; scores are taken in it."""
    _value_range: ValueRange | None = None  # of floats that a trainer has drawn

    @property
    def checkpoint_dir(self) -> Path:
        """Folder for checkpoints, in any files. It is copied at each rung. In a run that is resumed
        after a crash or a kill, it holds what it held at the last one."""
        return self.folder.checkpoints.absolute()

    def report(self, *, kimg: float, **signals: Any) -> None:
        """Records how training goes: any numbers by name. Health judges those that it knows.

        ``kimg``: thousands of real images that the discriminator has been shown, never less than
        before. Numbers may be 0-d tensors or NumPy's; ``None`` is left out. Raises ``TrainerError``
        for anything else, and far past a budget whose end was not scored; ``TrialStopped`` after
        ``should_stop``.
        """
        self._check_usable()
        at, numbers = checked_report(kimg, signals, last=self.kimg, budget=self.config.kimg)
        last, now = self._reported, self._clock.training
        speed = 1000 * (at - last.kimg) / max(now - last.seconds, 1e-9)
        step = numbers.get("step", math.nan)
        self._reported = Position(at, int(step) if math.isfinite(step) else last.step, now)
        self.record({**numbers, "kimg": at, "seconds": now, "images_per_second": speed})

    def score(
        self,
        value: Any = None,
        *,
        images: Draw | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        """Scores the run: by the trainer's own number, or by its samples. Lower is better.

        ``value`` is always recorded; ``images`` is ``draw(n)`` or ``draw(n, generator)``, which
        gives n images, uint8 or floats of [n, C, H, W], and is called only where a rung is due.
        ``value_range``: that of floats, black and white, such as ``(-1, 1)``; by default [-1, 1] if
        any is below -0.001, else [0, 1]. Raises ``TrainerError`` for anything else,
        ``TrialStopped`` after ``should_stop``.
        """
        self._check_usable()
        if (value is None) == (images is None):
            raise TrainerError("session.score: give either a number or images=, one of the two")
        check_value_range(value_range)
        with self.own_state.applied() as trainers_state:
            if images is None:
                self.score_value(plain_number("score", "value", value))
                return
            check_callable(images)
            self.settle("images")
            assert self._scoring.real is not None
            known = value_range or self._value_range
            sample = UserSamples(images, self._scoring.real, self.device, trainers_state, known)
            self.score_samples(sample)
            if sample.doubt:
                _log.warning("%s: %s", self.folder.path, sample.doubt)
            self._value_range = sample.value_range

    def _check_usable(self) -> None:
        """Raises ``TrainerError`` in another process, ``TrialStopped`` after the run's end."""
        if os.getpid() != self._process:
            raise TrainerError(
                f"session: used in process {os.getpid()}, but it belongs to process "
                f"{self._process}; report from the process that called the trainer"
            )
        if self.judge.verdict is not None:
            raise TrialStopped(self.judge.verdict.sentence)
        if self.should_stop:
            raise TrialStopped(self._questions.refusal or "the budget's last rung is scored")
