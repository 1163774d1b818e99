"""``Schedule``: learning rates, beta2, penalty weights and the EMA's half-life over a run.

A pure function of the images seen, so a resumed run needs no other state.
"""

import math
from dataclasses import dataclass

from gantune.config import TrialConfig


@dataclass(frozen=True)
class ScheduledValues:
    """The values at one point of a run."""

    lr_factor: float
    """Factor of both learning rates."""
    generator_beta2: float
    discriminator_beta2: float
    penalty_factor: float
    """Factor of the weights of all penalties."""
    ema_half_life: float
    """Kimg."""


class Schedule:
    """The ``schedule`` of a config over its ``kimg``."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        self._step_kimg = config.batch_size * config.discriminator.steps / 1000

    def at(self, kimg: float) -> ScheduledValues:
        """The values after so many thousands of real images."""
        config, schedule = self._config, self._config.schedule
        progress = self._progress(kimg)

        def between(start: float, end: float | None) -> float:
            return start if end is None else start + (end - start) * progress

        # Taken at the end of the step: a rate of 0 would waste the first one.
        end_of_step = kimg + self._step_kimg
        warmup = min(1.0, end_of_step / schedule.warmup) if schedule.warmup > 0 else 1.0
        return ScheduledValues(
            lr_factor=warmup * between(1.0, schedule.lr_end),
            generator_beta2=between(config.generator.beta2, schedule.beta2_end),
            discriminator_beta2=between(config.discriminator.beta2, schedule.beta2_end),
            penalty_factor=between(1.0, schedule.penalty_end),
            ema_half_life=between(config.ema.half_life, schedule.ema_half_life_end),
        )

    def _progress(self, kimg: float) -> float:
        """How far the values have moved from start to end, in [0, 1]."""
        share = min(1.0, kimg / (self._config.kimg * self._config.schedule.span))
        match self._config.schedule.name:
            case "linear":
                return share
            case "cosine":
                return (1 - math.cos(math.pi * share)) / 2
            case _:
                return 0.0
