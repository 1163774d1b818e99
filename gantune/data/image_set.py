"""``ImageSet``: the one form that every source is brought to."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantune.errors import DataError, first_line


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


# ``RawImages``: what every source gives, before the images are brought to one form.


Colour = Literal["gray", "rgb"]


MAX_DEFLATE_RATIO = 1032
"""Deflate makes no byte into more than this many (zlib's technical notes); a header that promises
more lies, and is refused before any memory is taken for it."""


@dataclass(frozen=True)
class RawImages:
    """The images of one source, each read when it is asked for, from any thread.

    ``read`` may raise anything for a corrupt image. ``labels``: int64 [N] with values in
    range(len(classes)), or ``None``.
    """

    count: int
    read: Callable[[int], Image.Image]
    name: Callable[[int], str]
    native: tuple[int, int]
    """Height and width of the most images."""
    colour: Colour
    """``rgb`` where any image has colour."""
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    encoded: bool = False
    """Whether reading means decoding, which is worth several threads."""
    close: Callable[[], object] = lambda: None


def from_arrays(
    count: int,
    image: Callable[[int], NDArray[np.uint8]],
    labels: NDArray[np.int64] | None = None,
    classes: tuple[str, ...] = (),
    place: str = "",
) -> RawImages:
    """Images that lie in memory: ``image(i)`` is uint8 [H, W], [H, W, 3] or [H, W, 4] (alpha).

    ``place``: what messages call the file or array that holds them.
    """
    first = image(0)
    return RawImages(
        count=count,
        read=lambda index: Image.fromarray(np.ascontiguousarray(image(index))),
        name=lambda index: f"{place}: image {index}" if place else f"image {index}",
        native=(first.shape[0], first.shape[1]),
        colour="gray" if first.ndim == 2 else "rgb",
        labels=labels,
        classes=classes,
    )


def chosen(raw: RawImages, indices: NDArray[np.intp]) -> RawImages:
    """The images at ``indices`` alone; all else about the source stays, its classes too."""
    return replace(
        raw,
        count=len(indices),
        read=lambda index: raw.read(int(indices[index])),
        name=lambda index: raw.name(int(indices[index])),
        labels=None if raw.labels is None else raw.labels[indices],
    )


def numbered(values: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Labels of any whole numbers as labels in range(len(classes)), with the classes' names."""
    found, labels = np.unique(values, return_inverse=True)
    return labels.reshape(-1).astype(np.int64), tuple(str(value) for value in found)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns whatever a damaged file makes a decoder raise into a ``DataError`` that names it."""
    try:
        with warnings.catch_warnings():
            # Decoders warn of oddities in damaged headers; what matters ends as an error.
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except Exception as error:  # zip, deflate, pickle and array decoders raise an open set
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        what = first_line(error)[:200]
        raise DataError(f"{path}: damaged or truncated: {what}") from error
