"""Guesses the loss of a log from its first values, where nobody names it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence

from gantune.config.loss_families import LOSSES

FIRST = 8
"""Records that the guess is made from."""

_NEAR = 0.5  # of a neutral value: how far the first losses may be from it


def guess_loss(first: Sequence[Mapping[str, float]]) -> str | None:
    """The loss whose neutral values the first records are near; ``None`` where none fits or several
    do.

    Before training, D tells nothing apart: its loss is at the neutral value, and so is G's. A D
    loss below 0 is a critic's. A loss that is logged as a mean over real and generated images is at
    half of it, where it cannot be told from others.
    """
    d = [row["d_loss"] for row in first if math.isfinite(row.get("d_loss", math.nan))]
    g = [row["g_loss"] for row in first if math.isfinite(row.get("g_loss", math.nan))]
    if not d:
        return None
    if min(d) < 0:
        return "wgan"
    at_d, at_g = statistics.median(d[:3]), statistics.median(g[:3]) if g else None
    neutral = {name: LOSSES[name] for name in ("vanilla", "hinge")}
    fits = []
    for name, facts in neutral.items():
        is_near = abs(at_d - facts.discriminator_neutral) <= _NEAR
        # G's own rises at once where D learns first, and a hinge G has any sign.
        is_g = at_g is None or (at_g > 0 if name == "vanilla" else min(g) < _NEAR)
        if is_near and is_g:
            fits.append(name)
    if len(fits) > 1:
        fits.sort(key=lambda name: abs(at_d - neutral[name].discriminator_neutral))
        first_gap, second_gap = (abs(at_d - neutral[n].discriminator_neutral) for n in fits[:2])
        return fits[0] if first_gap < _NEAR * second_gap else None
    return fits[0] if fits else None
