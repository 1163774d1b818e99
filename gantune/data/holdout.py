"""Images that are never learned: what scores compare copies with."""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gantune.config import DataConfig
from gantune.data.cache import content_hash
from gantune.data.decoding import Progress
from gantune.data.image_set import ImageSet, RawImages, chosen
from gantune.data.load import load_images, read_side
from gantune.data.sources import find_test_part
from gantune.errors import DataError

_log = logging.getLogger("gantune.data")


def load_held_out(config: DataConfig, progress: Progress | None = None) -> ImageSet | None:
    """The images that ``config.held_out`` holds out: the source's test part, or a share.

    They have the resolution and colour of ``load_images(config)``, and its classes. Without labels
    where the learned images have none, or lack one of the classes held out. ``None`` where none are
    held out, and for points. Cached like the learned ones. Raises ``DataError``, also where fewer
    than two images would be held out or learned.
    """
    if config.is_points or config.held_out == 0:
        return None
    if config.held_out != "auto":
        return read_side(Side(config.held_out, is_held_out=True), config, None, progress)
    if find_test_part(config) is None:
        return None
    learned = load_images(config, None, progress)
    form = {"split": "test", "resolution": learned.resolution, "colour": learned.colour}
    try:
        images = load_images(config.model_copy(update=form), None, progress)
        if len(images) < 2:
            raise DataError(f"{config.source}: its test part is one image; scores need 2 or more")
    except DataError as error:
        raise DataError(f"{error} (data.held_out: 0 does without the test part)") from error
    return _relabelled(images, learned)


def _relabelled(images: ImageSet, learned: ImageSet) -> ImageSet:
    """The same images with labels that mean what the learned ones' mean."""
    if images.classes == learned.classes:
        return images
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    unknown = [name for name in images.classes if name not in learned.classes]
    if unknown and learned.classes:
        _log.warning(
            "%s: the test part's class %s is not among those learned; its labels are left out",
            images.source,
            unknown[0],
        )
    elif images.labels is not None and learned.classes:
        classes = learned.classes
        labels = np.array([classes.index(name) for name in images.classes])[images.labels]
    own_hash = content_hash(images.array, labels)
    return replace(images, labels=labels, classes=classes, content_hash=own_hash)


# Which of a source's images are learned and which are held out, where a share is set aside.


_SEED = 20_240_229


_FEWEST = 2  # images, on either side: no statistics can be taken of one


@dataclass(frozen=True)
class Side:
    """One of the two sides: the learned images, or those that are held out.

    Which images are held out depends on ``share``, on how many there are and on nothing else, so
    that a config trained again, on any machine, learns the same ones. A larger share of the same
    images holds those of a smaller one.
    """

    share: float
    """Of the images that are held out; with 0 all are learned."""
    is_held_out: bool = False

    @classmethod
    def learned(cls, config: DataConfig) -> Side:
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
