"""``ImageSet``: the one form that every source is brought to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["ImageSet"]


@dataclass(frozen=True)
class ImageSet:
    """Real images, or points in the plane, ready to be learned.

    ``array``: uint8 [N, C, H, W] with C 1 or 3 and H = W, in memory or memory-mapped; for points
    float32 [N, 2], scaled to lie in about [-1, 1].
    ``labels``: int64 [N] with values in range(len(classes)), or ``None``.
    """

    array: NDArray[Any]
    source: str
    """What the user named."""
    content_hash: str
    """SHA-256 (hexadecimal) over the array as it is here, shape and labels included."""
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    split: str = "train"
    native: tuple[int, int] | None = None
    """Height and width before resizing, of the most images; ``None`` for points."""
    skipped: str = ""
    """How many of the source's images cannot be read, and the first of them; empty if all can."""

    def __len__(self) -> int:
        return len(self.array)

    @property
    def class_count(self) -> int:
        """How many classes the labels tell apart; 0 without labels."""
        return 0 if self.labels is None else len(self.classes)

    @property
    def is_points(self) -> bool:
        """Whether these are points in the plane."""
        return self.array.ndim == 2

    @property
    def resolution(self) -> int:
        """Side of the images, pixels; 0 for points."""
        return 0 if self.is_points else int(self.array.shape[2])

    @property
    def colour(self) -> Literal["gray", "rgb", "points"]:
        """Channels as a word."""
        if self.is_points:
            return "points"
        return "gray" if self.array.shape[1] == 1 else "rgb"
