"""The optimizers of both players, the course of their settings, and the averaged generator."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from gantune.config.base import Beta, ConfigModel, Rate
from gantune.config.network import DiscriminatorNorm, GeneratorNorm


class OptimizerConfig(ConfigModel):
    """How one player learns."""

    optimizer: Literal["adam", "adamw", "rmsprop", "sgd"] = "adam"
    """``adam`` (Kingma and Ba 2015), ``adamw`` (Loshchilov and Hutter 2019), ``rmsprop`` (Tieleman
    and Hinton 2012; the choice of Arjovsky et al. 2017 for WGAN), ``sgd``."""
    lr: Rate = 2e-4
    """Learning rate. Radford et al. 2015: 2e-4."""
    beta1: Beta = 0.5
    """Decay of the first moment, in [0, 1); for ``sgd`` its momentum. Radford et al. 2015: 0.5.
    ``rmsprop`` has none."""
    beta2: Beta = 0.999
    """Decay of the second moment, in [0, 1); ``sgd`` has none."""
    weight_decay: float = Field(default=0.0, ge=0, le=1)
    """Decay of the weights themselves: decoupled from the gradient in ``adamw``, added to it in the
    others."""
    clip_norm: Annotated[float, Field(gt=0, le=1e6)] | None = None
    """The whole gradient is scaled down to this norm where it is longer (Pascanu et al. 2013)."""


class GeneratorConfig(OptimizerConfig):
    """How the generator learns, and its normalisation."""

    norm: Literal["auto"] | GeneratorNorm = "auto"
    """``batch``: Ioffe and Szegedy 2015; ``spectral``: Miyato et al. 2018 (SAGAN's, Zhang et al.
    2019); ``auto``: what the network has by nature, batch norm in ``dcgan``, ``dcgan28`` and
    ``resnet``."""


class DiscriminatorConfig(OptimizerConfig):
    """How the discriminator learns, how often it steps, and its normalisation."""

    steps: int = Field(default=1, ge=1, le=100)
    """Discriminator steps per generator step. Gulrajani et al. 2017: 5."""
    norm: DiscriminatorNorm = "none"
    """``batch``: Ioffe and Szegedy 2015, as in DCGAN; ``layer``: Ba et al. 2016, as in WGAN-GP;
    ``instance``: Ulyanov et al. 2016; ``spectral``: Miyato et al. 2018."""


class ScheduleConfig(ConfigModel):
    """How settings move along the run, from their own values to those at the end.

    The learning rates always move; with ``beta2_end``, ``penalty_end`` and ``ema_half_life_end``
    these move with them on one curve, as R3GAN has it (Huang et al. 2024, appendix D).
    """

    name: Literal["constant", "linear", "cosine"] = "constant"
    """The curve from a setting's own value to the one at the end."""
    warmup: float = Field(default=0.0, ge=0, le=100_000)
    """Kimg in which the learning rates rise linearly from 0, whatever the curve."""
    span: float = Field(default=1.0, gt=0, le=1)
    """Share of the run that the movement takes; what was reached then stays."""
    lr_end: float = Field(default=0.0, ge=0, le=1)
    """Both learning rates at the end, as a share of their own values."""
    beta2_end: Beta | None = None
    """``beta2`` of both players at the end; ``null``: it does not move."""
    penalty_end: Annotated[float, Field(ge=0, le=1000)] | None = None
    """The weights of all penalties at the end, as a share of their own; ``null``: none moves."""
    ema_half_life_end: Annotated[float, Field(ge=0, le=100_000)] | None = None
    """``ema.half_life`` at the end, kimg; ``null``: it does not move."""


class EmaConfig(ConfigModel):
    """Exponential moving average of the generator's weights; samples and scores are its own."""

    half_life: float = Field(default=10.0, ge=0, le=100_000)
    """Half-life, kimg; 0: no average. Karras et al. 2020: 10 kimg."""
    ramp: float = Field(default=0.05, gt=0, le=1)
    """The half-life is at most this share of the images seen so far (Karras et al. 2020: 0.05)."""
