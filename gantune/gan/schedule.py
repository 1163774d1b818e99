"""Learning rates, beta2, penalty weights and the EMA's half-life over a run."""

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


def scheduled_values(config: TrialConfig, kimg: float) -> ScheduledValues:
    """The values of ``config.schedule`` after so many thousands of real images.

    A pure function of the images seen, so a resumed run needs no other state.
    """
    schedule = config.schedule
    share = min(1.0, kimg / (config.kimg * schedule.span))
    curves = {"linear": share, "cosine": (1 - math.cos(math.pi * share)) / 2}
    progress = curves.get(schedule.name, 0.0)

    def between(start: float, end: float | None) -> float:
        return start if end is None else start + (end - start) * progress

    # Taken at the end of the step: a rate of 0 would waste the first one.
    end_of_step = kimg + config.batch_size * config.discriminator.steps / 1000
    warmup = min(1.0, end_of_step / schedule.warmup) if schedule.warmup > 0 else 1.0
    return ScheduledValues(
        lr_factor=warmup * between(1.0, schedule.lr_end),
        generator_beta2=between(config.generator.beta2, schedule.beta2_end),
        discriminator_beta2=between(config.discriminator.beta2, schedule.beta2_end),
        penalty_factor=between(1.0, schedule.penalty_end),
        ema_half_life=between(config.ema.half_life, schedule.ema_half_life_end),
    )
