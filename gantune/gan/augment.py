"""What is done to every image before the discriminator sees it: augmentation and noise.

Both act on real and on generated images alike, on the images' device, and let gradients through.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantune.config import AugmentConfig, InstanceNoiseConfig
from gantune.gan.shift import shift

__all__ = ["augment", "instance_noise_std"]


def augment(
    images: Tensor, config: AugmentConfig, probability: Tensor | float, random: torch.Generator
) -> Tensor:
    """Images [N, C, H, W] in [-1, 1], changed in the ways that ``config`` turns on.

    Zhao et al. 2020 (DiffAugment), with the ranges and the order of the authors' code. Each
    transformation is applied to each image with ``probability``, a number or a scalar tensor, and
    with its own strength. 0 gives the images back as they are. ``random``, on the images' device,
    is where all draws come from. Differentiable any number of times.
    """
    if not isinstance(probability, Tensor) and probability == 0:
        return images
    draw = _Draw(images, probability, random)
    if config.colour:
        images = _colour(images, draw)
    if config.translation:
        images = _translate(images, draw)
    if config.cutout:
        images = _cut_out(images, draw)
    return images


def instance_noise_std(config: InstanceNoiseConfig, progress: float) -> float:
    """Standard deviation of the noise at ``progress``, the share of the run that is over.

    Falls linearly from ``config.std`` to 0 at ``config.span``, where images lie in [-1, 1].
    """
    return config.std * max(0.0, 1 - progress / config.span)


@dataclass(frozen=True)
class _Draw:
    """Random numbers for a batch, one for each image."""

    images: Tensor
    probability: Tensor | float
    random: torch.Generator

    def uniform(self, low: float, high: float) -> Tensor:
        """Numbers from ``low`` to ``high``, [N, 1, 1, 1]."""
        images = self.images
        drawn = torch.rand(
            (len(images), 1, 1, 1), generator=self.random, device=images.device, dtype=images.dtype
        )
        return low + (high - low) * drawn

    def whole(self, low: int, high: int) -> Tensor:
        """Whole numbers from ``low`` to ``high``, both included, for both axes [2, N, 1, 1, 1]."""
        shape = (2, len(self.images), 1, 1, 1)
        device = self.images.device
        return torch.randint(low, high + 1, shape, generator=self.random, device=device)

    def where_applied(self, strength: Tensor) -> Tensor:
        """``strength``, and 0 for the images that a transformation is not applied to."""
        if not isinstance(self.probability, Tensor) and self.probability == 1:
            return strength
        return strength * (self.uniform(0, 1) < self.probability)


def _colour(images: Tensor, draw: _Draw) -> Tensor:
    """Brightness by up to 0.5 up or down, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    images = images + draw.where_applied(draw.uniform(-0.5, 0.5))
    if images.shape[1] > 1:
        gray = images.mean(dim=1, keepdim=True)
        images = images + draw.where_applied(draw.uniform(-1, 1)) * (images - gray)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return images + draw.where_applied(draw.uniform(-0.5, 0.5)) * (images - mean)


def _translate(images: Tensor, draw: _Draw) -> Tensor:
    """A shift by up to an eighth of the side along both axes; 0, mid-gray, comes in at the edge.

    The eighth is rounded, as in the authors' code: 4 of 28 pixels.
    """
    most = (images.shape[-1] + 4) // 8
    down, right = draw.where_applied(draw.whole(-most, most)).flatten(1)
    return shift(images, down, right, "zero")


def _cut_out(images: Tensor, draw: _Draw) -> Tensor:
    """A square of half the side becomes 0, mid-gray. Its centre lies anywhere in the image."""
    side = images.shape[-1]
    size = side // 2
    place = torch.arange(side, device=images.device)
    first = draw.whole(0, side - size % 2) - size // 2
    inside = (place >= first) & (place < first + size)  # [2, N, 1, 1, side]
    hole = inside[0].transpose(2, 3) & inside[1]
    return images.masked_fill(draw.where_applied(hole), 0)
