"""Whether an extractor can serve as a yardstick: tried on the data at hand before it is used."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from gantune.data.image_set import ImageSet
from gantune.scores.features import Extractor
from gantune.scores.frechet import Gaussian, frechet_distance
from gantune.scores.gathering import BATCH, Features, gather

__all__ = ["LEAST_IMAGES", "yardstick_fault"]

LEAST_IMAGES = 200
"""Fewer images cannot try an extractor: what chance does to their distance hides the rest."""

_MOST_IMAGES = 500  # two halves of 250: under a second for the small networks
_BLUR = 4  # pixels to a side of the blocks that become one
_NOISE = 0.25  # standard deviation of the added noise, share of the range of levels
_SEED = 0


def yardstick_fault(extractor: Extractor, images: ImageSet, device: torch.device) -> str:
    """What an extractor, moved to ``device``, takes for nearer to real images than real ones are.

    Up to 500 of the images are drawn into two halves. To the first half, the second must be nearer
    by Frechet distance than the same images at a quarter of their size, than the same images under
    noise of a quarter of the range, and than white noise with the mean and the spread of each
    channel. All three are plain to see; a slighter fault can be smaller than what chance does to a
    distance between so few. Empty if the second half is nearer, and for fewer than 200 images,
    which cannot tell. Raises ``ScoreError`` where features are not finite.
    """
    count = min(len(images), _MOST_IMAGES) // 2
    if 2 * count < LEAST_IMAGES:
        return ""
    order = np.random.default_rng(_SEED).permutation(len(images))[: 2 * count]
    chosen = torch.from_numpy(images.array[order])
    first, second = chosen[:count], chosen[count:]
    extractor.module.to(device)
    real = Gaussian.of(_features(extractor, first, device))
    generator = torch.Generator().manual_seed(_SEED)
    worse = {
        "the same images blurred": _blurred(second),
        "the same images under noise": _noisy(second, generator),
        "white noise": _white_noise(second, generator),
    }
    least = frechet_distance(real, _features(extractor, second, device))
    nearer = [
        name
        for name, shown in worse.items()
        if frechet_distance(real, _features(extractor, shown, device)) <= least
    ]
    return " and ".join(nearer)


def _features(extractor: Extractor, images: Tensor, device: torch.device) -> Features:
    batches = (part.to(device) for part in torch.split(images, BATCH))
    return gather(extractor, batches, len(images), len(images), "images to try the extractor on")


def _blurred(images: Tensor) -> Tensor:
    small = F.avg_pool2d(images.float(), _BLUR)
    return _levels(F.interpolate(small, images.shape[2:], mode="bilinear", align_corners=False))


def _noisy(images: Tensor, generator: torch.Generator) -> Tensor:
    return _levels(images + 255 * _NOISE * torch.randn(images.shape, generator=generator))


def _white_noise(images: Tensor, generator: torch.Generator) -> Tensor:
    spread, mean = torch.std_mean(images.float(), dim=(0, 2, 3), keepdim=True)
    return _levels(mean + spread * torch.randn(images.shape, generator=generator))


def _levels(images: Tensor) -> Tensor:
    return images.round().clamp(0, 255).byte()
