"""What a score's companions say against a finalist. No torch here."""

from __future__ import annotations

from gantune.scores.score import Score

__all__ = ["COPIES", "missing_classes", "warnings"]

COPIES = 3.0
"""Standard deviations of ``HeldOut.copying`` above which the samples are said to be copies."""

_LOST = 0.1  # of a class's real share
_EXPECTED = 20  # samples; of fewer, chance alone could leave none (2e-9 at 20)
_LEAST_SPREAD = 0.3


def missing_classes(score: Score) -> list[str]:
    """Names of the classes with less than a tenth of their real share among the samples.

    A class of which fewer than 20 samples were to be expected is left out: chance could hide it.
    """
    if score.classes is None or score.real_classes is None:
        return []
    return [
        name
        for name, real in score.real_classes.items()
        if real * score.generated >= _EXPECTED and score.classes.get(name, 0.0) < _LOST * real
    ]


def warnings(score: Score) -> list[str]:
    """Sentences on lost classes, lost spread and copies, for a finalist; none for a sound one."""
    found = []
    missing = missing_classes(score)
    if missing:
        names = ", ".join(missing[:8]) + (", ..." if len(missing) > 8 else "")
        total = len(score.real_classes or ())
        found.append(f"lost {len(missing)} of {total} classes: {names}")
    if score.spread is not None and score.spread < _LEAST_SPREAD:
        found.append(
            f"lost spread: generated features vary {score.spread:.2f} times as much as real ones"
        )
    if score.held_out is not None and score.held_out.copying > COPIES:
        found.append(
            "copies: samples lie nearer to training images than held-out images do in "
            f"{score.held_out.nearer_training:.0%} of the pairs"
        )
    return found
