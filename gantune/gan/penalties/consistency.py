"""Consistency: D should say the same of an image that is mirrored and shifted."""

from __future__ import annotations

import torch
from torch import Tensor

from gantune.config import ConsistencyConfig
from gantune.gan.penalties.step import Step
from gantune.gan.shift import shift

__all__ = ["consistency"]


def consistency(step: Step, config: ConsistencyConfig) -> Tensor:
    """mean |D(x) - D(T(x))|^2 on real images (Zhang et al. 2020, eq. 3).

    T mirrors half of the images left to right, then moves each by up to ``config.shift`` of its
    side along both axes; the image mirrored at its edge comes in there.
    """
    changed = _change(step.real, config.shift, step.random)
    # Both at once and in one precision, in which an image that stays as it is has no difference.
    one, other = step.judge(torch.cat([step.real, changed])).view(2, -1)
    difference: Tensor = one - other
    return difference.square().mean()


def _change(images: Tensor, share: float, random: torch.Generator) -> Tensor:
    number, device = len(images), images.device
    mirrored = torch.rand((number, 1, 1, 1), generator=random, device=device) < 0.5
    images = torch.where(mirrored, images.flip(3), images)
    most = int(share * images.shape[3])
    by = torch.randint(-most, most + 1, (2, number), generator=random, device=device)
    return shift(images, by[0], by[1], "mirror")
