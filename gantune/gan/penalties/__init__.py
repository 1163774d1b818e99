"""Regularisers: one module a family, ``regularizer.py`` for those of one run."""

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from gantune.gan.ranks import ALONE, Ranks
from gantune.gan.rng import BatchDraws


@dataclass(frozen=True)
class PenaltyInputs:
    """One step of the discriminator: its images, its logits on them, and D itself."""

    discriminate: Callable[[Tensor], Tensor]
    """Images [M, ...] to logits [M], in fp32, differentiable twice. A conditional D gets the labels
    of the batch; M may be a multiple of N, and they repeat."""
    network: nn.Module
    """D, for penalties on its weights."""
    real: Tensor
    """Real images [N, ...] as D sees them (augmented, noisy), detached."""
    fake: Tensor
    """Generated images [N, ...] as D sees them, detached."""
    logits: Tensor
    """D's logits on real and generated images, [2, N], with their graph."""
    anchors: Tensor
    """Running means of D's logits on real and generated images, [2], detached."""
    kimg: float
    """Thousands of real images shown so far."""
    random: BatchDraws
    """Source of all random numbers."""
    ranks: Ranks = ALONE
    """Who has the rest of the batch."""
