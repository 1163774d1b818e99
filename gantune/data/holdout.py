"""Images that are never learned: what scores compare copies with."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from gantune.config import DataConfig
from gantune.data.cache import content_hash
from gantune.data.decoding import Progress
from gantune.data.holdout_split import HoldoutSplit
from gantune.data.image_set import ImageSet
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
        return read_side(HoldoutSplit(config.held_out, is_held_out=True), config, None, progress)
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
