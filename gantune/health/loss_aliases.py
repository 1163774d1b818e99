"""What a loss is called elsewhere."""

from __future__ import annotations

import re

from gantune.config.loss_families import LOSSES
from gantune.errors import ConfigError
from gantune.io.validation import comma_list, did_you_mean

_SYNONYMS = {
    "non_saturating": "vanilla",
    "nonsaturating": "vanilla",
    "ns": "vanilla",
    "nsgan": "vanilla",
    "logistic": "vanilla",
    "bce": "vanilla",
    "saturating": "minimax",
    "wasserstein": "wgan",
    "wgan_gp": "wgan",
    "least_squares": "lsgan",
    "ls": "lsgan",
    "rpgan": "relativistic",
    "r3gan": "relativistic",
}


def known_loss(name: str) -> str:
    """The loss of ``gantune.config.loss_families.LOSSES`` that ``name`` means.

    Raises ``ConfigError`` where there is none.
    """
    folded = re.sub(r"[\s-]+", "_", name.strip().lower())
    found = _SYNONYMS.get(folded, folded)
    if found not in LOSSES:
        meant = did_you_mean(folded, [*LOSSES, *_SYNONYMS]) or f"; known: {comma_list(LOSSES)}"
        raise ConfigError(f"no loss {name!r}{meant}")
    return found
