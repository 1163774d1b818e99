"""What each loss looks like when the discriminator knows nothing. No torch here.

A loss at rest tells nothing by itself: a Wasserstein critic's is near 0 by nature, a hinge loss
near 0 is a dead game. Health rules are therefore written per family against these values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

__all__ = ["LOSSES", "Family", "LossFacts"]

Family = Literal["probability", "margin", "critic"]


@dataclass(frozen=True)
class LossFacts:
    """Facts of one loss, with the discriminator's loss summed over real and generated images.

    ``family``: ``probability`` (logits of a probability), ``margin`` (bounded below by 0, which
    is reached once all images are apart by a margin), ``critic`` (an unbounded difference).
    ``discriminator_neutral`` and ``generator_neutral``: the losses of a discriminator that cannot
    tell the two apart, in the loss's own unit; for a critic 0, which says nothing of health.
    ``threshold``: the output above which the discriminator takes an image for real; ``None`` where
    only differences of outputs count.
    """

    family: Family
    discriminator_neutral: float
    generator_neutral: float
    threshold: float | None = 0.0


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
    # Jolicoeur-Martineau 2019, eq. 4, of pairs: a coin is thrown for each.
    "relativistic": LossFacts("probability", math.log(2), math.log(2), threshold=None),
}
