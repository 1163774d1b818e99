"""The regularisers of the players' weights and gradients, by name."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gantune.config.base import AutoWeight, ConfigModel, Interval, Weight


class PenaltyConfig(ConfigModel):
    """What all penalties that are added to a loss have."""

    weight: AutoWeight = 10.0
    """Weight of the penalty."""
    interval: Interval = 1
    """Steps from one penalty to the next; the weight is multiplied by it, so that it acts as much
    in all (lazy regularisation, Karras et al. 2020)."""


class WeightClipConfig(ConfigModel):
    """Clips every weight of the critic after each of its steps (Arjovsky et al. 2017)."""

    limit: float = Field(default=0.01, gt=0, le=10)
    """Largest absolute weight."""


class GradientPenaltyConfig(PenaltyConfig):
    """weight * (|grad D| - 1)^2 between real and generated images (Gulrajani et al. 2017, eq. 3)"""

    weight: Weight = 10.0
    """Weight of the penalty."""
    one_sided: bool = False
    """Penalise only norms above 1 (Gulrajani et al. 2017, section 4; Petzka et al. 2018)."""


class DraganConfig(PenaltyConfig):
    """weight * (|grad D| - 1)^2 around real images (Kodali et al. 2017, section 2.3)."""

    weight: Weight = 10.0
    """Weight of the penalty."""
    noise: float = Field(default=0.5, gt=0, le=10)
    """How far around: uniform noise in [0, 1) times this many standard deviations of the batch."""


class R1Config(PenaltyConfig):
    """weight / 2 * |grad D|^2 on real images (Mescheder et al. 2018, eq. 9)."""

    weight: AutoWeight = 10.0
    """Weight of the penalty, gamma in the paper; ``auto``: 0.0002 * resolution^2 / batch size
    (Karras et al. 2020, StyleGAN2-ADA)."""
    interval: Interval = 16
    """Discriminator steps from one penalty to the next; the weight is multiplied by it (lazy
    regularisation, Karras et al. 2020)."""


class R2Config(R1Config):
    """weight / 2 * |grad D|^2 on generated images (Mescheder et al. 2018, eq. 10)."""


class R1R2Config(R1Config):
    """``r1`` and ``r2`` with one weight (Huang et al. 2024, section 2.2)."""

    interval: Interval = 1
    """Discriminator steps from one penalty to the next; the weight is multiplied by it. R3GAN: 1,
    at each step."""


class LecamConfig(PenaltyConfig):
    """weight * (|D(real) - a|^2 + |D(fake) - b|^2), where ``a`` and ``b`` are running means of D on
    generated and on real images (Tseng et al. 2021, eq. 4)."""

    weight: Weight = 0.3
    """Weight of the penalty. Tseng et al. 2021: 0.3 for BigGAN, 3e-7 to 0.01 for StyleGAN2."""
    decay: Annotated[float, Field(gt=0, lt=1)] = 0.99
    """Decay of the running means at each step of the discriminator."""
    start: float = Field(default=0.0, ge=0, le=100_000)
    """Kimg before which nothing is penalised, so that the running means can settle."""


class ConsistencyConfig(PenaltyConfig):
    """weight * |D(x) - D(T(x))|^2 on real images, where T mirrors and shifts (Zhang et al. 2020,
    CR-GAN, eq. 3)."""

    weight: Weight = 10.0
    """Weight of the penalty."""
    shift: float = Field(default=0.125, ge=0, le=0.5)
    """Largest shift as a share of the image's side; Zhang et al. 2020: 4 of 32 pixels."""


class OrthogonalConfig(PenaltyConfig):
    """weight * |W^T W * (1 - I)|^2 over every weight matrix W: filters that are orthogonal, their
    norms left free (Brock et al. 2019, BigGAN, eq. 3)."""

    weight: Weight = 1e-4
    """Weight of the penalty."""
    player: Literal["generator", "discriminator", "both"] = "discriminator"
    """Whose weights. BigGAN: the generator's."""


class PenaltiesConfig(ConfigModel):
    """Regularisers by name; several may act at once. Default: ``none``."""

    weight_clip: WeightClipConfig | None = None
    gradient_penalty: GradientPenaltyConfig | None = None
    dragan: DraganConfig | None = None
    r1: R1Config | None = None
    r2: R2Config | None = None
    r1_r2: R1R2Config | None = None
    lecam: LecamConfig | None = None
    consistency: ConsistencyConfig | None = None
    orthogonal: OrthogonalConfig | None = None

    @model_validator(mode="before")
    @classmethod
    def _none(cls, given: Any) -> Any:
        return {} if given is None or given == "none" else given


# What is done to every image before the discriminator sees it.


class AugmentConfig(ConfigModel):
    """Differentiable augmentation of real and generated images alike, for both players' steps
    (Zhao et al. 2020, DiffAugment). Default: ``none``."""

    colour: bool = False
    """Brightness, saturation (of colour images) and contrast."""
    translation: bool = False
    """Shifts by up to an eighth of the side; mid-gray comes in at the edge."""
    cutout: bool = False
    """A square of half the side, with its centre anywhere, becomes mid-gray."""
    probability: Literal["adaptive"] | Annotated[float, Field(ge=0, le=1)] = 1.0
    """With which each of them is applied to an image. DiffAugment: 1. ``adaptive``: steered, from
    0, by the sign of the discriminator's outputs on real images (Karras et al. 2020, ADA)."""
    target: Annotated[float, Field(gt=0, lt=1)] = 0.6
    """Of ``adaptive``: the mean sign above which the probability rises. ADA: 0.6."""
    speed: float = Field(default=500.0, gt=0, le=100_000)
    """Of ``adaptive``: kimg in which the probability can go from 0 to 1. ADA: 500."""

    @property
    def is_on(self) -> bool:
        """Whether any transformation is applied."""
        return self.colour or self.translation or self.cutout

    @model_validator(mode="before")
    @classmethod
    def _none(cls, given: Any) -> Any:
        return {} if given is None or given == "none" else given


class InstanceNoiseConfig(ConfigModel):
    """Gaussian noise on every image that the discriminator sees, fading out along the run
    (Soenderby et al. 2017, Arjovsky and Bottou 2017)."""

    std: float = Field(default=0.0, ge=0, le=10)
    """Standard deviation at the start, where images lie in [-1, 1]; 0: none."""
    span: float = Field(default=0.5, gt=0, le=1)
    """Share of the run in which it falls linearly to 0."""
