"""What is done to every image before the discriminator sees it."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from gantune.config.part import Part

__all__ = ["AugmentConfig", "InstanceNoiseConfig"]


class AugmentConfig(Part):
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


class InstanceNoiseConfig(Part):
    """Gaussian noise on every image that the discriminator sees, fading out along the run
    (Soenderby et al. 2017, Arjovsky and Bottou 2017)."""

    std: float = Field(default=0.0, ge=0, le=10)
    """Standard deviation at the start, where images lie in [-1, 1]; 0: none."""
    span: float = Field(default=0.5, gt=0, le=1)
    """Share of the run in which it falls linearly to 0."""
