"""What is done to every image before the discriminator sees it: augmentation and noise.

Both act on real and on generated images alike, on the images' device, and let gradients through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from gantune.config import AugmentConfig, InstanceNoiseConfig


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


# Images moved by whole pixels, each by its own number.


def shift(images: Tensor, down: Tensor, right: Tensor, edge: Literal["zero", "mirror"]) -> Tensor:
    """Images [N, C, H, W], moved ``down`` and ``right`` by int64 [N] pixels less than their side.

    What comes in over the edge is 0, or what lies on the other side of the outermost pixels.
    Differentiable any number of times.
    """
    for dim, by in ((2, down), (3, right)):
        images = _along(images, dim, by.view(-1, 1), edge)
    return images


def _along(images: Tensor, dim: int, by: Tensor, edge: str) -> Tensor:
    last = images.shape[dim] - 1
    source = torch.arange(last + 1, device=images.device) - by  # [N, side]
    # Mirrored at the first and the last pixel; where zeros follow, any pixel will do.
    index = last - (last - source.abs()).abs()
    shape = [len(images), 1, 1, 1]
    shape[dim] = last + 1
    moved = images.gather(dim, index.view(shape).expand_as(images))
    if edge == "mirror":
        return moved
    outside = (source < 0) | (source > last)
    return moved.masked_fill(outside.view(shape), 0)


# The probability of augmentation, steered by how sure the discriminator is of real images.


_INTERVAL = 4  # steps of D between two adjustments (Karras et al. 2020, section 3.1)


class AdaptiveProbability:
    """ADA's rule: more augmentation where D overfits (Karras et al. 2020, section 3.1).

    Overfitting shows as r_t, the mean sign of D's outputs on real images: 1 where D takes all of
    them for real. Every 4 steps of D the probability rises where r_t is above ``config.target``
    and falls where it is below, so fast that it gets from 0 to 1 in ``config.speed`` kimg.

    ``threshold`` is the output above which D takes an image for real; ``None`` where only
    differences count: then the sign is that of each real image's output less a generated one's.
    Nothing here waits for the device.
    """

    def __init__(
        self, config: AugmentConfig, threshold: float | None, device: torch.device | str
    ) -> None:
        self._target, self._images_to_one = config.target, config.speed * 1000
        self._threshold = threshold
        self._value = torch.zeros((), device=device)
        self._signs = torch.zeros((), device=device)  # summed since the last adjustment
        self._steps, self._images = 0, 0  # since the last adjustment

    @property
    def value(self) -> Tensor:
        """The probability, a scalar in [0, 1] on the device; changes in place."""
        return self._value

    @torch.no_grad()
    def update(self, logits: Tensor) -> None:
        """Takes note of D's outputs [2, N] on real and generated images, once each step of D."""
        real, fake = logits
        least = fake if self._threshold is None else self._threshold
        self._signs += torch.sign(real - least).mean()  # the sign of a NaN is 0: undecided
        self._steps += 1
        self._images += len(real)
        if self._steps == _INTERVAL:
            self._adjust()

    def _adjust(self) -> None:
        direction = torch.sign(self._signs / _INTERVAL - self._target)
        self._value += direction * (self._images / self._images_to_one)
        self._value.clamp_(0, 1)
        self._signs.zero_()
        self._steps, self._images = 0, 0

    def state_dict(self) -> dict[str, Any]:
        """All that the next update depends on, beside the config."""
        return {
            "value": self._value.clone(),
            "signs": self._signs.clone(),
            "steps": self._steps,
            "images": self._images,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Goes on where ``state_dict()`` was taken."""
        self._value.copy_(state["value"])
        self._signs.copy_(state["signs"])
        self._steps, self._images = int(state["steps"]), int(state["images"])
