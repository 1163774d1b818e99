"""``PenaltyInputs``: what one step of the discriminator offers a penalty."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class PenaltyInputs:
    """One step of the discriminator: its images, what it said of them, and D itself."""

    judge: Callable[[Tensor], Tensor]
    """Images [M, ...] to logits [M], in fp32, differentiable twice. Where D is told classes, those
    of the batch are bound in; M may be a multiple of N, and they repeat."""
    network: nn.Module
    """D, for penalties on its weights."""
    real: Tensor
    """Real images [N, ...] as D was shown them (augmented, noisy), detached."""
    fake: Tensor
    """Generated images [N, ...] as D was shown them, detached."""
    logits: Tensor
    """D's outputs on real and on generated images, [2, N], with their graph."""
    anchors: Tensor
    """Running means of D's outputs on real and on generated images, [2], detached."""
    kimg: float
    """Thousands of real images shown so far."""
    random: torch.Generator
    """Where random numbers come from."""
