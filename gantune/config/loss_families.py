"""Facts of each loss, such as its value when the discriminator cannot tell real from fake.

The same value means different things: a Wasserstein critic's loss is near 0 by nature, while a
hinge loss near 0 means that D has won. So health rules are written per family, against these
values. Imports no torch.
"""

import math
import re
from dataclasses import dataclass, replace
from typing import Literal

from gantune.errors import ConfigError
from gantune.io.validation import comma_list, did_you_mean

Family = Literal["probability", "margin", "critic", "unknown"]


@dataclass(frozen=True)
class LossFacts:
    """Facts of one loss. The discriminator's loss is the sum over real and generated images.

    ``family``: ``probability`` (logits of a probability), ``margin`` (bounded below by 0, which
    is reached once all images are separated by a margin), ``critic`` (an unbounded difference), or
    ``unknown``.
    ``discriminator_neutral`` and ``generator_neutral``: the losses where the discriminator cannot
    tell real from fake; for a critic 0, which says nothing about health.
    ``threshold``: the logit above which the discriminator takes an image for real; ``None`` where
    only differences of logits count. ``discriminator_floor``: the loss of a discriminator that
    makes no mistake; not 0 with smoothed labels.
    """

    family: Family
    discriminator_neutral: float
    generator_neutral: float
    threshold: float | None = 0.0
    discriminator_floor: float = 0.0


LOSSES: dict[str, LossFacts] = {
    # Goodfellow et al. 2014, eq. 1: the saturating original; D = 1/2 everywhere.
    "minimax": LossFacts("probability", 2 * math.log(2), -math.log(2)),
    # Goodfellow et al. 2014, section 3: the non-saturating generator.
    "vanilla": LossFacts("probability", 2 * math.log(2), math.log(2)),
    # Arjovsky et al. 2017, eq. 2.
    "wgan": LossFacts("critic", 0.0, 0.0, threshold=None),
    # Lim and Ye 2017; Miyato et al. 2018, eq. 16 and 17: D = 0 everywhere.
    "hinge": LossFacts("margin", 2.0, 0.0),
    # Mao et al. 2017, eq. 9 (a=0, b=c=1): D = 1/2 everywhere.
    "lsgan": LossFacts("margin", 0.25, 0.125, threshold=0.5),
    # Jolicoeur-Martineau 2019, eq. 4, of pairs: D guesses each pair at random.
    "relativistic": LossFacts("probability", math.log(2), math.log(2), threshold=None),
}
"""Each loss by its name, without label smoothing."""

UNKNOWN_LOSS = LossFacts("unknown", 0.0, 0.0, threshold=None)
"""Facts of a loss that has no known name."""


_LOSS_ALIASES = {
    "non_saturating": "vanilla",
    "nonsaturating": "vanilla",
    "ns": "vanilla",
    "nsgan": "vanilla",
    "logistic": "vanilla",
    "bce": "vanilla",
    "saturating": "minimax",
    "wasserstein": "wgan",
    "wgan_gp": "wgan",
    "wgangp": "wgan",
    "least_squares": "lsgan",
    "ls": "lsgan",
    "rpgan": "relativistic",
    "r3gan": "relativistic",
}


def known_loss(name: str) -> str | None:
    """The loss of ``LOSSES`` that ``name`` means, by one of the names in use; ``None`` if none."""
    folded = re.sub(r"[\s-]+", "_", name.strip().lower())
    loss = _LOSS_ALIASES.get(folded, folded)
    return loss if loss in LOSSES else None


def loss_by_alias(name: str) -> str:
    """As ``known_loss``; raises ``ConfigError`` for an unknown name."""
    loss = known_loss(name)
    if loss is None:
        folded = name.strip().lower()
        hint = did_you_mean(folded, [*LOSSES, *_LOSS_ALIASES]) or f"; known: {comma_list(LOSSES)}"
        raise ConfigError(f"no loss {name!r}{hint}")
    return loss


def loss_facts(name: str, label_smoothing: float = 0.0) -> LossFacts:
    """The facts of a loss with one-sided label smoothing: real images have the target
    1 - ``label_smoothing``. Losses without targets stay the same.

    A discriminator that cannot tell real from fake then outputs half of that target.
    """
    facts, target = LOSSES[name], 1 - label_smoothing
    half = target / 2
    if label_smoothing == 0:
        return facts
    if name == "lsgan":
        return replace(
            facts,
            discriminator_neutral=half**2,
            generator_neutral=0.5 * (half - 1) ** 2,
            threshold=half,
        )
    if name in ("minimax", "vanilla"):
        return replace(
            facts,
            discriminator_neutral=2 * _entropy(half),
            generator_neutral=math.log(1 - half) if name == "minimax" else -math.log(half),
            threshold=math.log(half / (1 - half)),
            discriminator_floor=_entropy(target),
        )
    return facts


def _entropy(p: float) -> float:
    """Entropy of a coin with this probability, in nats."""
    return -p * math.log(p) - (1 - p) * math.log(1 - p)
