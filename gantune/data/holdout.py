"""``HoldoutSplit``: which images of a source are trained on and which are held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gantune.config import DataConfig
from gantune.data.image_set import RawImages, subset
from gantune.errors import DataError

_SEED = 20_240_229
_MIN_IMAGES = 2  # in either part: statistics need two


@dataclass(frozen=True)
class HoldoutSplit:
    """One part of a source: the training images, or those that are held out.

    Which images are held out depends only on ``share`` and on the number of images, so that a
    config trains on the same ones again, on any machine. A larger share includes a smaller one.
    """

    share: float
    """Share of the images that is held out; 0: none."""
    is_held_out: bool = False

    @classmethod
    def for_training(cls, config: DataConfig) -> HoldoutSplit:
        """The images that ``config`` trains on: all, unless its ``held_out`` is a share."""
        return cls(0.0 if config.held_out == "auto" else config.held_out)

    @property
    def cache_key(self) -> tuple[str, ...]:
        """Tells its cache entry from that of all images; empty where it is all of them."""
        side = "held out" if self.is_held_out else "learned"
        return (f"{side} {self.share!r}",) if self.share else ()

    def label(self, split: str) -> str:
        """In words: ``train``, ``train but 10% held out``, ``10% held out of train``."""
        share = f"{100 * self.share:g}%"
        if self.is_held_out:
            return f"{share} held out of {split}"
        return f"{split} but {share} held out" if self.share else split

    def of(self, raw: RawImages, source: str) -> RawImages:
        """This part of a source. Raises ``DataError`` where either part has fewer than two."""
        if not self.share:
            return raw
        held_out = round(self.share * raw.count)
        if min(held_out, raw.count - held_out) < _MIN_IMAGES:
            raise DataError(
                f"data.held_out: {self.share:g} of the {raw.count} images of {source!r} holds "
                f"{held_out} out and leaves {raw.count - held_out} to train on; both need "
                f"{_MIN_IMAGES} or more: take another share, or 0"
            )
        order = _permutation(raw.count)
        rows = order[:held_out] if self.is_held_out else order[held_out:]
        return subset(raw, np.sort(rows))


def _permutation(count: int) -> NDArray[np.intp]:
    """NumPy keeps the numbers of its bit generators stable over versions, unlike shuffles."""
    return np.argsort(np.random.PCG64(_SEED).random_raw(count), kind="stable")
