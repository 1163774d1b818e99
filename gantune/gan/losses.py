"""The losses: each two pure functions of the discriminator's logits.

What each is worth when the discriminator knows nothing stands in ``gantune.families``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

__all__ = ["LOSSES", "Loss"]


@dataclass(frozen=True)
class Loss:
    """Both players' losses, to be made small.

    ``discriminator(real, fake)`` and ``generator(fake, real)`` take logits [N] and give a mean,
    real plus generated. The generator's ``real`` are the outputs of D's last step, detached.
    """

    discriminator: Callable[[Tensor, Tensor], Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]


def _cross_entropy(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-real).mean() + softplus(fake).mean()


def _saturating(fake: Tensor, real: Tensor) -> Tensor:
    return logsigmoid(-fake).mean()  # log(1 - D(G(z))), without overflow


def _non_saturating(fake: Tensor, real: Tensor) -> Tensor:
    return softplus(-fake).mean()


def _critic(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


def _against_critic(fake: Tensor, real: Tensor) -> Tensor:
    return -fake.mean()


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - real).mean() + relu(1 + fake).mean()


def _least_squares(real: Tensor, fake: Tensor) -> Tensor:
    return 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean()


def _least_squares_generator(fake: Tensor, real: Tensor) -> Tensor:
    return 0.5 * (fake - 1).square().mean()


LOSSES: dict[str, Loss] = {
    # Goodfellow et al. 2014, eq. 1.
    "minimax": Loss(_cross_entropy, _saturating),
    # Goodfellow et al. 2014, section 3.
    "vanilla": Loss(_cross_entropy, _non_saturating),
    # Arjovsky et al. 2017, eq. 2.
    "wgan": Loss(_critic, _against_critic),
    # Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17.
    "hinge": Loss(_hinge, _against_critic),
    # Mao et al. 2017, eq. 9, with a = 0 and b = c = 1.
    "lsgan": Loss(_least_squares, _least_squares_generator),
}
"""Each loss by its name in a config."""
