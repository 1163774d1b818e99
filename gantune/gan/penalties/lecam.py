"""LeCam: D's outputs are held to running means of what it said of the other kind of images."""

from __future__ import annotations

import torch
from torch import Tensor

from gantune.config import LecamConfig
from gantune.gan.penalties.step import Step

__all__ = ["lecam", "update_anchors"]


def lecam(step: Step, config: LecamConfig) -> Tensor:
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
