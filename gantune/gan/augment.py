"""Augmentation and instance noise of all images that the discriminator sees.

Both apply to real and generated images alike, on the device, and are differentiable.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from gantune.config.sections import AugmentConfig, InstanceNoiseConfig
from gantune.gan.rng import BatchDraws


def augment(
    images: Tensor, config: AugmentConfig, probability: Tensor | float, random: BatchDraws
) -> Tensor:
    """Images [N, C, H, W] in [-1, 1], augmented by the transformations of ``config``.

    Zhao et al. 2020 (DiffAugment), with the ranges and the order of the authors' code. Each
    transformation is applied to each image with ``probability``, a number or a scalar tensor, and
    a strength of its own. 0 returns the images unchanged. All draws come from ``random``, on the
    images' device. Differentiable any number of times.
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
    """Standard deviation of the noise at ``progress``, the share of the run that is done.

    Falls linearly from ``config.std`` to 0 at ``config.span``; for images in [-1, 1].
    """
    return config.std * max(0.0, 1 - progress / config.span)


@dataclass(frozen=True)
class _Draw:
    """Random numbers for each image of a batch."""

    images: Tensor
    probability: Tensor | float
    random: BatchDraws

    def share(self) -> Tensor:
        """Floats from 0 to 1, [N, 1, 1, 1]."""
        return self.random.uniform(len(self.images), 1, 1, 1, dtype=self.images.dtype)

    def uniform(self, low: float, high: float) -> Tensor:
        """Floats from ``low`` to ``high``, [N, 1, 1, 1]."""
        return low + (high - low) * self.share()

    def integers(self, low: int, high: int) -> Tensor:
        """Integers from ``low`` to ``high``, both included, for both axes [2, N, 1, 1, 1]."""
        return self.random.integers(low, high, 2, len(self.images), 1, 1, 1, dim=1)

    def where_applied(self, strength: Tensor) -> Tensor:
        """``strength``, or 0 for images to which a transformation is not applied."""
        if not isinstance(self.probability, Tensor) and self.probability == 1:
            return strength
        return strength * (self.share() < self.probability)


def _colour(images: Tensor, draw: _Draw) -> Tensor:
    """Brightness by up to 0.5 up or down, saturation times 0 to 2, contrast times 0.5 to 1.5."""
    images = images + draw.where_applied(draw.uniform(-0.5, 0.5))
    if images.shape[1] > 1:
        gray = images.mean(dim=1, keepdim=True)
        images = images + draw.where_applied(draw.uniform(-1, 1)) * (images - gray)
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return images + draw.where_applied(draw.uniform(-0.5, 0.5)) * (images - mean)


def _translate(images: Tensor, draw: _Draw) -> Tensor:
    """A shift by up to an eighth of the side along both axes; the edge is filled with 0, mid-gray.

    The eighth is rounded, as in the authors' code: 4 of 28 pixels.
    """
    limit = (images.shape[-1] + 4) // 8
    down, right = draw.where_applied(draw.integers(-limit, limit)).flatten(1)
    return shift(images, down, right, "zero")


def _cut_out(images: Tensor, draw: _Draw) -> Tensor:
    """Fills a square of half the side, centred anywhere in the image, with 0, mid-gray."""
    side = images.shape[-1]
    size = side // 2
    pixels = torch.arange(side, device=images.device)
    first = draw.integers(0, side - size % 2) - size // 2
    inside = (pixels >= first) & (pixels < first + size)  # [2, N, 1, 1, side]
    hole = inside[0].transpose(2, 3) & inside[1]
    return images.masked_fill(draw.where_applied(hole), 0)


def shift(images: Tensor, down: Tensor, right: Tensor, edge: Literal["zero", "mirror"]) -> Tensor:
    """Images [N, C, H, W], moved ``down`` and ``right`` by int64 [N] pixels, fewer than the side.

    The edge is filled with 0 or with the mirror image. Differentiable any number of times.
    """
    for dim, by in ((2, down), (3, right)):
        last = images.shape[dim] - 1
        source = torch.arange(last + 1, device=images.device) - by.view(-1, 1)  # [N, side]
        # Mirrored at the first and last pixel; with zeros the values there do not matter.
        index = last - (last - source.abs()).abs()
        shape = [len(images), 1, 1, 1]
        shape[dim] = last + 1
        images = images.gather(dim, index.view(shape).expand_as(images))
        if edge == "zero":
            outside = (source < 0) | (source > last)
            images = images.masked_fill(outside.view(shape), 0)
    return images


# ---- Adaptive probability ----------------------------------------------------------------------


ADAPTIVE_INTERVAL = 4
"""Steps of D between two adjustments of the probability (Karras et al. 2020, section 3.1)."""


class AdaptiveProbability:
    """Adaptive discriminator augmentation, ADA: more where D overfits (Karras et al. 2020, 3.1).

    The measure of overfitting is r_t, the mean sign of D's logits on real images: 1 where D takes
    all of them for real. Every 4 steps of D the probability rises if r_t is above ``config.target``
    and falls if it is below, at a speed of 0 to 1 in ``config.speed`` kimg.

    ``threshold``: the logit above which D takes an image for real; ``None`` where only differences
    count: then the sign is that of a real image's logit minus a generated one's. Nothing here waits
    for the device.
    """

    def __init__(
        self, config: AugmentConfig, threshold: float | None, device: torch.device | str
    ) -> None:
        self._target, self._images_to_one = config.target, config.speed * 1000
        self._threshold = threshold
        self._value = torch.zeros((), device=device)
        self._signs = torch.zeros((), device=device)  # summed since the last adjustment
        self._steps = 0  # since the last adjustment

    @property
    def value(self) -> Tensor:
        """The probability, a scalar in [0, 1] on the device; changes in place."""
        return self._value

    @property
    def phase(self) -> int:
        """Steps of D since the last adjustment, 0 to 3."""
        return self._steps

    @torch.no_grad()
    def observe(self, logits: Tensor, ahead: int = 0) -> None:
        """Adds D's logits [2, N] on real and generated images, once for each step of D; ``count``
        counts it. ``ahead``: steps of D that are not counted yet."""
        real, fake = logits
        threshold = fake if self._threshold is None else self._threshold
        self._signs += torch.sign(real - threshold).mean()  # the sign of a NaN is 0: undecided
        if (self._steps + ahead) % ADAPTIVE_INTERVAL == ADAPTIVE_INTERVAL - 1:
            direction = torch.sign(self._signs / ADAPTIVE_INTERVAL - self._target)
            self._value += direction * (ADAPTIVE_INTERVAL * len(real) / self._images_to_one)
            self._value.clamp_(0, 1)
            self._signs.zero_()

    def count(self, steps: int) -> None:
        """Counts steps of D."""
        self._steps = (self._steps + steps) % ADAPTIVE_INTERVAL

    def state_dict(self) -> dict[str, Any]:
        """All that the next step depends on, besides the config."""
        return {"value": self._value.clone(), "signs": self._signs.clone(), "steps": self._steps}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores a ``state_dict``."""
        self._value.copy_(state["value"])
        self._signs.copy_(state["signs"])
        self._steps = int(state["steps"])
