"""The losses: two pure functions of the discriminator's logits each.

``gantune.config.loss_families`` has their values where D cannot tell real from fake.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

from torch import Tensor
from torch.nn.functional import logsigmoid, relu, softplus

from gantune.config import TrialConfig


@dataclass(frozen=True)
class Loss:
    """The losses that both players minimise.

    ``discriminator(real, fake)`` and ``generator(fake, real)`` take logits [N] and return a mean,
    real plus generated. ``needs_real``: the generator's loss uses ``real``, which must then be
    logits of the current D; else ``real`` is ignored.
    """

    discriminator: Callable[..., Tensor]
    generator: Callable[[Tensor, Tensor], Tensor]
    needs_real: bool = False


def make_loss(config: TrialConfig) -> Loss:
    """The loss of a config, with its label smoothing.

    Smoothing is one-sided (Salimans et al. 2016, section 3.4): real images have the target
    1 - ``label_smoothing``, generated ones and the generator's target are unchanged.
    """
    loss = LOSSES[config.loss]
    if config.label_smoothing == 0:
        return loss
    smooth = partial(loss.discriminator, smoothing=config.label_smoothing)
    return replace(loss, discriminator=smooth)


def _cross_entropy(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    # With target t, -t log p - (1 - t) log(1 - p) is softplus(-logit) + (1 - t) logit.
    of_real = softplus(-real)
    if smoothing:
        of_real = of_real + smoothing * real
    return of_real.mean() + softplus(fake).mean()


def _saturating(fake: Tensor, real: Tensor) -> Tensor:
    return logsigmoid(-fake).mean()  # log(1 - D(G(z))), without overflow


def _non_saturating(fake: Tensor, real: Tensor) -> Tensor:
    return softplus(-fake).mean()


def _critic(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


def _critic_generator(fake: Tensor, real: Tensor) -> Tensor:
    return -fake.mean()


def _hinge(real: Tensor, fake: Tensor) -> Tensor:
    return relu(1 - real).mean() + relu(1 + fake).mean()


def _least_squares(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    return 0.5 * (real - (1 - smoothing)).square().mean() + 0.5 * fake.square().mean()


def _least_squares_generator(fake: Tensor, real: Tensor) -> Tensor:
    return 0.5 * (fake - 1).square().mean()


def _relativistic(winner: Tensor, loser: Tensor) -> Tensor:
    return softplus(loser - winner).mean()


LOSSES: dict[str, Loss] = {
    # Goodfellow et al. 2014, eq. 1.
    "minimax": Loss(_cross_entropy, _saturating),
    # Goodfellow et al. 2014, section 3.
    "vanilla": Loss(_cross_entropy, _non_saturating),
    # Arjovsky et al. 2017, eq. 2.
    "wgan": Loss(_critic, _critic_generator),
    # Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17.
    "hinge": Loss(_hinge, _critic_generator),
    # Mao et al. 2017, eq. 9, with a = 0 and b = c = 1.
    "lsgan": Loss(_least_squares, _least_squares_generator),
    # Jolicoeur-Martineau 2019, eq. 4; Huang et al. 2024 (R3GAN), eq. 2; players exchange the pair.
    "relativistic": Loss(_relativistic, _relativistic, needs_real=True),
}
"""Each loss by its name in a config, without smoothing."""
