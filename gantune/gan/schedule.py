"""Learning rates, beta2, penalty weights, the EMA's half-life and instance noise over a run."""

import math
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor

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


# ---- Numbers on the device ----------------------------------------------------------------------


@dataclass(frozen=True)
class StepNumbers:
    """The numbers of one training step that change along a run: floats, or scalars on the device.

    A recorded step cannot see a float that has changed, but it reads the tensors at each replay.
    """

    lr_factor: float | Tensor
    penalty_factor: float | Tensor
    ema_weight: float | Tensor
    generator_beta2: float | Tensor
    discriminator_beta2: float | Tensor
    noise: tuple[float | Tensor | None, ...]
    """Standard deviation of the instance noise at each step of D, then at that of G; ``None``:
    without noise."""


class DeviceNumbers:
    """Keeps the numbers of the present step as scalars on a device.

    ``moves_beta2``: both beta2 too. Where they stay the same, they stay numbers.
    """

    def __init__(self, device: torch.device, d_steps: int, *, moves_beta2: bool) -> None:
        self._moves_beta2 = moves_beta2
        rate, penalty, ema, beta2_g, beta2_d, *noise = torch.zeros(6 + d_steps, device=device)
        self._scalars = StepNumbers(rate, penalty, ema, beta2_g, beta2_d, tuple(noise))

    def fill(self, numbers: StepNumbers) -> StepNumbers:
        """The same numbers as scalars on the device, which the next call overwrites.

        A fill takes its number along as a kernel's argument: nothing waits, as a copy from the
        host would.
        """
        found = self._scalars
        noise = tuple(
            None if std is None else at for at, std in zip(found.noise, numbers.noise, strict=True)
        )
        found = replace(found, noise=noise)
        if not self._moves_beta2:
            beta2 = numbers.generator_beta2, numbers.discriminator_beta2
            found = replace(found, generator_beta2=beta2[0], discriminator_beta2=beta2[1])
        for at, number in zip(_flat(found), _flat(numbers), strict=True):
            if isinstance(at, Tensor):
                at.fill_(cast(float, number))
        return found


def _flat(numbers: StepNumbers) -> list[float | Tensor]:
    single = numbers.lr_factor, numbers.penalty_factor, numbers.ema_weight
    noise = [std for std in numbers.noise if std is not None]
    return [*single, numbers.generator_beta2, numbers.discriminator_beta2, *noise]
