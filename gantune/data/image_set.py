"""``ImageSet``: images ready for training; ``RawImages``: those of a source before conversion."""

import errno
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantune.config import absolute_source
from gantune.errors import DataError, HomeError, first_line
from gantune.io.formatting import first_names, one_line


class Unreadable(NamedTuple):
    """An image of a source that cannot be read."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} ({self.why})"


@dataclass(frozen=True)
class ImageSet:
    """Images, or points in the plane, ready for training and scores.

    ``array``: uint8 [N, C, H, W] with C 1 or 3 and H = W, in memory or memory-mapped; for points
    float32 [N, 2], scaled to lie in about [-1, 1].
    ``labels``: int64 [N] with values in range(len(classes)), or ``None``.
    """

    array: NDArray[Any]
    source: str
    """The source as the user named it."""
    content_hash: str
    """SHA-256 (hexadecimal) over array, shape and labels."""
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    split: str = "train"
    native: tuple[int, int] | None = None
    """Most frequent height and width before resizing; ``None`` for points."""
    unreadable: tuple[Unreadable, ...] = ()
    """The source's images that cannot be read and are skipped."""
    copies: tuple[tuple[str, str], ...] = ()
    """Images that are copies of others, with the names of these; of a set with many the first
    1,000, else none."""
    notes: tuple[str, ...] = ()
    """What else a user should know of them: files that were not looked at, values that were scaled,
    and so on."""

    def __len__(self) -> int:
        return len(self.array)

    @property
    def class_count(self) -> int:
        """Number of classes; 0 without labels."""
        return 0 if self.labels is None else len(self.classes)

    @property
    def found(self) -> str:
        """One line on what was found: number, source, classes, and all notes."""
        what = "points" if self.is_points else "image" if len(self) == 1 else "images"
        split = "" if self.split == "train" else f" ({self.split})"
        names = first_names(self.classes, _SHOWN_CLASSES)
        classes = "no classes"
        if self.class_count:
            classes = f"{self.class_count:,} class{'es' * (self.class_count > 1)} ({names})"
        total = len(self) + len(self.unreadable)
        unread = (unreadable_text(self.unreadable, total),) if self.unreadable else ()
        start = f"{len(self):,} {what} from {self.source}{split}: {classes}"
        return one_line(", ".join([start, *unread, *self.notes]))

    @property
    def class_sizes(self) -> dict[str, int]:
        """Number of images of each class by its name, in the order of the classes' numbers."""
        if self.labels is None:
            return {}
        counts = np.bincount(self.labels, minlength=len(self.classes))
        return {name: int(n) for name, n in zip(self.classes, counts, strict=True)}

    def summary(self) -> dict[str, Any]:
        """What was found as plain values, for ``run.json``."""
        return {
            "found": self.found,
            "source": absolute_source(self.source, Path()),
            "images": len(self),
            "content_hash": self.content_hash,
            "classes": self.class_sizes,
            "unreadable": [str(image) for image in self.unreadable],
        }

    @property
    def warnings(self) -> tuple[str, ...]:
        """Those of its notes that warn."""
        start = "warning: "
        return tuple(note.removeprefix(start) for note in self.notes if note.startswith(start))

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
        """The colour as a word."""
        if self.is_points:
            return "points"
        return "gray" if self.array.shape[1] == 1 else "rgb"


# ---- Images of a source -------------------------------------------------------------------------


Colour = Literal["gray", "rgb"]

_SHOWN_CLASSES = 12  # names in one line
_NAMED = 3  # unreadable images of one reason, and reasons, in one line
_FORBIDDEN = os.strerror(errno.EACCES)

MAX_DEFLATE_RATIO = 1032
"""The highest compression ratio of deflate (zlib's technical notes). A header that promises more is
refused before any memory is allocated for it."""


@dataclass(frozen=True)
class RawImages:
    """The images of one source, each read on demand, from any thread.

    ``read`` may raise anything for a corrupt image. ``labels``: int64 [N] with values in
    range(len(classes)), or ``None``.
    """

    count: int
    read: Callable[[int], Image.Image]
    name: Callable[[int], str]
    """Its name within ``place``."""
    native: tuple[int, int]
    """Most frequent height and width."""
    colour: Colour
    """``rgb`` if any image has colour."""
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    encoded: bool = False
    """Whether reading an image decodes it, which is worth several threads."""
    levels: int = 65_535
    """The value of white in gray images of over 8 bits; a set may use fewer bits."""
    deep_colours: bool = False
    """Whether some have colours of 16 bits, of which the upper 8 are read."""
    notes: tuple[str, ...] = ()
    """What a user should know of them."""
    place: str = ""
    """The file or folder that they come from; for messages."""
    close: Callable[[], object] = lambda: None

    def full_name(self, index: int) -> str:
        """The name of an image with its place."""
        return f"{self.place}: {self.name(index)}" if self.place else self.name(index)


def from_arrays(
    count: int,
    image: Callable[[int], NDArray[np.uint8]],
    labels: NDArray[np.int64] | None = None,
    classes: tuple[str, ...] = (),
    place: str = "",
) -> RawImages:
    """Images in memory: ``image(i)`` is uint8 [H, W], [H, W, 3] or [H, W, 4] (alpha).

    ``place``: name of the file or array, for messages.
    """
    first = image(0)
    return RawImages(
        count=count,
        read=lambda index: Image.fromarray(np.ascontiguousarray(image(index))),
        name=lambda index: f"image {index}",
        native=(first.shape[0], first.shape[1]),
        colour="gray" if first.ndim == 2 else "rgb",
        labels=labels,
        classes=classes,
        place=place,
    )


def by_reason(images: Sequence[Unreadable]) -> dict[str, list[str]]:
    """The names of unreadable images by the reason."""
    found: dict[str, list[str]] = {}
    for image in images:
        found.setdefault(image.why, []).append(image.name)
    return found


def unreadable_text(images: Sequence[Unreadable], total: int) -> str:
    """How many images of a source cannot be read, with the first of each reason."""
    told, groups = [], by_reason(images)
    for why, names in list(groups.items())[:_NAMED]:
        more = f" and {len(names) - _NAMED:,} more" if len(names) > _NAMED else ""
        told.append(f"{', '.join(names[:_NAMED])}{more} ({why})")
    if len(groups) > _NAMED:
        told.append(f"{len(groups) - _NAMED:,} more reasons")
    is_cut = len(groups) > _NAMED or max(map(len, groups.values())) > _NAMED
    rest = ", which gantune doctor --data lists" if is_cut else ""
    return f"{len(images):,} of {total:,} images cannot be read: {'; '.join(told)}{rest}"


def unreadable_remedy(reasons: Iterable[str]) -> str:
    """What helps against these reasons."""
    forbidden = all(why == _FORBIDDEN for why in reasons)
    return "let this user read them" if forbidden else "repair or remove them"


def subset(raw: RawImages, indices: NDArray[np.intp]) -> RawImages:
    """The images at ``indices``; all else stays, classes included."""
    return replace(
        raw,
        count=len(indices),
        read=lambda index: raw.read(int(indices[index])),
        name=lambda index: raw.name(int(indices[index])),
        labels=None if raw.labels is None else raw.labels[indices],
    )


SUBSET_SEED = 20_261_128
"""Seed of every subset of images that is chosen for a score."""


def random_subset(total: int, count: int) -> NDArray[np.int64]:
    """``count`` different indices below ``total``, chosen at random by ``SUBSET_SEED``, in order.

    At random, since images may be sorted by class, or their classes may take turns.
    """
    return np.sort(random_order(total, SUBSET_SEED)[:count])


def random_order(count: int, seed: int) -> NDArray[np.int64]:
    """A permutation, int64 [count], the same on any machine: NumPy keeps the numbers of its bit
    generators stable over versions, unlike shuffles."""
    return np.argsort(np.random.PCG64(seed).random_raw(count), kind="stable")


def encode_labels(values: NDArray[Any]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """Any values as labels in range(len(classes)), and the classes' names, each on one line.

    Names come in natural order: 2 before 10.
    """
    if values.dtype.kind not in "iufb":
        return encode_names([str(value) for value in values.reshape(-1)])
    found, labels = np.unique(values, return_inverse=True)
    return labels.reshape(-1).astype(np.int64), tuple(str(value) for value in found)


def encode_names(names: Sequence[str]) -> tuple[NDArray[np.int64], tuple[str, ...]]:
    """The same of names; an array of them would take the room of the longest one for each."""
    classes = sorted(set(names), key=_natural)
    number = {name: i for i, name in enumerate(classes)}
    labels = np.fromiter((number[name] for name in names), dtype=np.int64, count=len(names))
    return labels, tuple(map(one_line, classes))


def _natural(name: str) -> tuple[list[tuple[int, int, str]], str]:
    """A key that sorts numbers in names by their value."""
    pieces = re.split(r"([0-9]{1,18})", name)
    return [(0, int(p), "") if p.isdecimal() else (1, 0, p.lower()) for p in pieces if p], name


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns any error of a decoder into a ``DataError`` that names the file."""
    try:
        with warnings.catch_warnings():
            # Decoders warn of oddities in damaged headers; what matters is raised.
            warnings.simplefilter("ignore")
            yield
    except DataError:
        raise
    except HomeError as error:
        raise DataError(str(error)) from None
    except Exception as error:  # decoders raise almost anything on damaged files
        if isinstance(error, OSError) and error.strerror:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
        what = first_line(error)[:200]
        raise DataError(f"{path}: damaged or truncated: {what}; save or fetch it again") from error
