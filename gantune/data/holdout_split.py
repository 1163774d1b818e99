"""Which images are trained on and which are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gantune.config import DataConfig
from gantune.data.image_set import RawImages, chosen
from gantune.errors import DataError

# Which of a source's images are learned and which are held out, where a share is set aside.


_SEED = 20_240_229


_FEWEST = 2  # images, on either side: no statistics can be taken of one


@dataclass(frozen=True)
class HoldoutSplit:
    """One of the two sides: the learned images, or those that are held out.

    Which images are held out depends on ``share``, on how many there are and on nothing else, so
    that a config trained again, on any machine, learns the same ones. A larger share of the same
    images holds those of a smaller one.
    """

    share: float
    """Of the images that are held out; with 0 all are learned."""
    is_held_out: bool = False

    @classmethod
    def learned(cls, config: DataConfig) -> HoldoutSplit:
        """What ``config`` learns: all, unless its ``held_out`` is a share."""
        return cls(0.0 if config.held_out == "auto" else config.held_out)

    @property
    def details(self) -> tuple[str, ...]:
        """What tells its cache entry from that of all images; nothing where it is all of them."""
        side = "held out" if self.is_held_out else "learned"
        return (f"{side} {self.share!r}",) if self.share else ()

    def called(self, split: str) -> str:
        """What it is in words: ``train``, ``train but 10% held out``, ``10% held out of train``."""
        share = f"{100 * self.share:g}%"
        if self.is_held_out:
            return f"{share} held out of {split}"
        return f"{split} but {share} held out" if self.share else split

    def of(self, raw: RawImages, source: str) -> RawImages:
        """These images of a source. Raises ``DataError`` where either side has fewer than two."""
        if not self.share:
            return raw
        aside = round(self.share * raw.count)
        if min(aside, raw.count - aside) < _FEWEST:
            raise DataError(
                f"data.held_out: {self.share:g} of the {raw.count} images of {source!r} sets "
                f"{aside} aside and leaves {raw.count - aside} to learn; both need {_FEWEST} or "
                "more: take another share, or 0"
            )
        order = _order(raw.count)
        return chosen(raw, np.sort(order[:aside] if self.is_held_out else order[aside:]))


def _order(count: int) -> NDArray[np.intp]:
    """A permutation. NumPy keeps the bit generators' own numbers as they are, unlike shuffles."""
    return np.argsort(np.random.PCG64(_SEED).random_raw(count), kind="stable")
