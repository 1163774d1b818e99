"""Guesses the loss of a log from its first values, where nobody names it."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gantune.config.loss_families import LOSSES

FIRST = 8
"""Records that the guess is made from."""

_NEAR = 0.5  # of a neutral value: how far the first losses may be from it


_LEAST, _MOST = 0.95, 1.6  # D's loss, as a multiple of the cross entropy of its mean outputs
_SURE = 0.9  # outputs that say more are rounded too coarsely


class Guess(NamedTuple):
    """A loss, and what D's values are multiplied by to be sums over real and generated images."""

    loss: str
    factor: float = 1.0


def guess_loss(first: Sequence[Mapping[str, float]]) -> Guess | None:
    """The loss whose neutral values the first records are near; ``None`` where none fits.

    Before training, D tells nothing apart: its loss is at the neutral value, and so is G's. A D
    loss below 0 is a critic's. One near half of vanilla's neutral value, beside a G loss near
    vanilla's, is a mean over real and generated images. Beside outputs of D that are
    probabilities, a D loss that is their cross entropy is vanilla's, at any value.
    """
    d = [row["d_loss"] for row in first if math.isfinite(row.get("d_loss", math.nan))]
    g = [row["g_loss"] for row in first if math.isfinite(row.get("g_loss", math.nan))]
    if not d:
        return None
    if min(d) < 0:
        return Guess("wgan")
    if (not g or min(g) >= 0) and (guess := _cross_entropy(first)):  # a hinge G has any sign
        return guess
    at_d, at_g = statistics.median(d[:3]), statistics.median(g[:3]) if g else None
    vanilla, hinge = (LOSSES[name].discriminator_neutral for name in ("vanilla", "hinge"))
    is_half = abs(at_d - vanilla / 2) <= _NEAR / 2
    if is_half and at_g is not None and abs(at_g - LOSSES["vanilla"].generator_neutral) <= _NEAR:
        return Guess("vanilla", 2.0)
    # A hinge G has any sign; vanilla's rises at once where D learns first.
    if abs(at_d - vanilla) <= min(_NEAR, abs(at_d - hinge)) and (at_g is None or at_g > 0):
        return Guess("vanilla")
    if abs(at_d - hinge) <= _NEAR and (not g or min(g) < _NEAR):
        return Guess("hinge")
    return None


def _cross_entropy(first: Sequence[Mapping[str, float]]) -> Guess | None:
    """The guess for losses that are the cross entropy of D's logged outputs. The entropy of the
    mean outputs is a little below the mean entropy."""
    ratios = []
    for row in first:
        real, fake = row.get("d_real", math.nan), row.get("d_fake", math.nan)
        if not (0 <= real <= 1 and 0 <= fake <= 1):
            return None
        right = real * (1 - fake)
        if 0 < right < _SURE:
            ratios.append(row.get("d_loss", math.nan) / -math.log(right))
    for factor in (1.0, 2.0):
        if ratios and all(_LEAST <= factor * ratio <= _MOST for ratio in ratios):
            return Guess("vanilla", factor)
    return None
