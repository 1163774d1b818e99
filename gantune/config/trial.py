"""``TrialConfig``: one run of GAN training, whole."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from gantune.config.agreement import disagreements
from gantune.config.augment import AugmentConfig, InstanceNoiseConfig
from gantune.config.data import DataConfig
from gantune.config.network import NetworkConfig
from gantune.config.optimization import (
    DiscriminatorConfig,
    EmaConfig,
    GeneratorConfig,
    ScheduleConfig,
)
from gantune.config.part import Part
from gantune.config.penalties import PenaltiesConfig
from gantune.io.validation import complaints

__all__ = ["TrialConfig"]


class TrialConfig(Part):
    """One run of GAN training, whole: what ``best.yaml`` holds and what training takes.

    Frozen: ``config.model_copy(update=...)`` or ``replaced`` make another one. ``load_config``
    reads it from a file and raises ``ConfigError``; made by hand, a value out of its range and
    fields that do not go together raise pydantic's ``ValidationError``.
    """

    data: DataConfig = DataConfig()
    kimg: float = Field(default=40.0, gt=0, le=1_000_000)
    """Length of the run: thousands of real images shown to the discriminator."""
    tick_kimg: float = Field(default=1.0, gt=0, le=1000)
    """Interval of health signals, kimg."""
    network: NetworkConfig = NetworkConfig()
    loss: Literal["minimax", "vanilla", "wgan", "hinge", "lsgan", "relativistic"] = "vanilla"
    """``minimax``: the saturating original, and ``vanilla``: its non-saturating form (Goodfellow et
    al. 2014); ``wgan`` (Arjovsky et al. 2017); ``hinge`` (Lim and Ye 2017); ``lsgan`` (Mao et al.
    2017); ``relativistic``: of pairs of a real and a generated image (Jolicoeur-Martineau 2019;
    Huang et al. 2024, R3GAN)."""
    label_smoothing: float = Field(default=0.0, ge=0, le=0.5)
    """One-sided: real images have the target 1 minus this (Salimans et al. 2016: 0.1). For the
    losses with targets: ``minimax``, ``vanilla``, ``lsgan``."""
    penalties: PenaltiesConfig = PenaltiesConfig()
    augment: AugmentConfig = AugmentConfig()
    instance_noise: InstanceNoiseConfig = InstanceNoiseConfig()
    batch_size: int = Field(default=64, ge=2, le=65_536)
    """Real images in each discriminator step."""
    accumulation: int = Field(default=1, ge=1, le=1024)
    """Parts in which each batch is computed, one after the other, before the weights are changed:
    less memory for the same batch. Must divide ``batch_size``. Batch norm sees a part at a time."""
    generator: GeneratorConfig = GeneratorConfig()
    discriminator: DiscriminatorConfig = DiscriminatorConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: EmaConfig = EmaConfig()
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``bf16``: autocast of the networks to bfloat16, weights and losses stay fp32; ``fp16``: to
    float16, with a scaler of the loss for each player, on GPUs alone (elsewhere ``auto`` is taken,
    with a warning); ``auto``: bf16 where the device computes in it natively."""
    compile: bool = False
    """Compile both networks with ``torch.compile``: a minute's wait, then faster steps on a GPU.
    Where no compiler is found they run as they are, with a warning."""
    seed: int = Field(default=0, ge=0, le=2**31 - 1)
    """Seed of weights, latents and the order of the images."""

    @property
    def auxiliary(self) -> bool:
        """Whether the losses that are told hold more than the adversarial terms: ours never do."""
        return False

    def replaced(self, *, kimg: float | None = None, seed: int | None = None) -> TrialConfig:
        """The same run of another length or on another seed, unchecked."""
        changes = {"kimg": kimg, "seed": seed}
        given = {name: value for name, value in changes.items() if value is not None}
        return self.model_copy(update=given)

    @model_validator(mode="after")
    def _agree(self) -> TrialConfig:
        found = disagreements(self)
        if found:
            raise complaints(*found)
        return self
