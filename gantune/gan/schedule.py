"""``Schedule``: what learning rates, beta2, penalty weights and the EMA's half-life are, and when.

A pure function of the images seen, so that a resumed run needs nothing but their number.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gantune.config import TrialConfig


@dataclass(frozen=True)
class Settings:
    """What is in force at one point of a run."""

    rate: float
    """What both learning rates are multiplied by."""
    generator_beta2: float
    discriminator_beta2: float
    penalty: float
    """What the weights of all penalties are multiplied by."""
    ema_half_life: float
    """Kimg."""


class Schedule:
    """The course of one run's settings, as its ``schedule`` has it over its ``kimg``."""

    def __init__(self, config: TrialConfig) -> None:
        self._config = config
        shown = config.batch_size * config.discriminator.steps
        self._turn = shown / 1000  # kimg in which the settings stay as they are

    def at(self, kimg: float) -> Settings:
        """The settings once so many thousands of real images were shown."""
        config, schedule = self._config, self._config.schedule
        moved = self._moved(kimg)

        def between(start: float, end: float | None) -> float:
            return start if end is None else start + (end - start) * moved

        # At the end of the turn: a rate of 0 would throw the first one away.
        warm = min(1.0, (kimg + self._turn) / schedule.warmup) if schedule.warmup > 0 else 1.0
        return Settings(
            rate=warm * between(1.0, schedule.lr_end),
            generator_beta2=between(config.generator.beta2, schedule.beta2_end),
            discriminator_beta2=between(config.discriminator.beta2, schedule.beta2_end),
            penalty=between(1.0, schedule.penalty_end),
            ema_half_life=between(config.ema.half_life, schedule.ema_half_life_end),
        )

    def _moved(self, kimg: float) -> float:
        """The share of the way from the settings' own values to their ends, in [0, 1]."""
        share = min(1.0, kimg / (self._config.kimg * self._config.schedule.span))
        match self._config.schedule.name:
            case "linear":
                return share
            case "cosine":
                return (1 - math.cos(math.pi * share)) / 2
            case _:
                return 0.0
