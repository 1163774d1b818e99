"""Consistency: D should say the same of an image that is mirrored and shifted."""

from __future__ import annotations

import torch
from torch import Tensor

from gantune.config import ConsistencyConfig, LecamConfig
from gantune.gan.augment import shift
from gantune.gan.penalties.base import PenaltyInputs


def consistency(step: PenaltyInputs, config: ConsistencyConfig) -> Tensor:
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


# LeCam: D's outputs are held to running means of what it said of the other kind of images.


def lecam(step: PenaltyInputs, config: LecamConfig) -> Tensor:
    """mean |D(real) - a|^2 + mean |D(fake) - b|^2, with ``a`` the running mean of D on generated
    images and ``b`` that on real ones (Tseng et al. 2021, eq. 4). The means are those before the
    step; 0 at the very first, which has none, and before ``config.start`` kimg.
    """
    if step.kimg < config.start:
        return step.logits.new_zeros(())
    others = step.anchors.flip(0).unsqueeze(1)  # [2, 1]
    others = torch.where(others.isfinite(), others, step.logits.detach())
    return (step.logits - others).square().mean(dim=1).sum()


@torch.no_grad()
def update_anchors(anchors: Tensor, logits: Tensor, decay: float) -> None:
    """Moves running means [2], in place, towards the means of D's outputs [2, N].

    They start as NaN, and take the first means as they are. So do they after a step whose outputs
    were not finite, which one broken step would else spoil for good.
    """
    means = logits.mean(dim=1)
    anchors.copy_(torch.where(anchors.isfinite(), torch.lerp(means, anchors, decay), means))
