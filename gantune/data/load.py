"""Loads the images of a ``DataConfig`` through the cache, and resolves ``auto`` values by them."""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from gantune.config import RESOLUTIONS, DataConfig, TrialConfig, absolute_source
from gantune.data.cache import build_entry, content_hash, entry_folder, read_entry
from gantune.data.decoding import ImageFormat, Progress
from gantune.data.holdout import HoldoutSplit
from gantune.data.image_set import ImageSet, RawImages
from gantune.data.sources import Source, find_source, find_test_part
from gantune.data.sources.builtin import load_gaussians
from gantune.errors import DataError

_log = logging.getLogger("gantune.data")


def load_images(
    config: DataConfig, sizes: Sequence[int] | None = None, progress: Progress | None = None
) -> ImageSet:
    """Images (or points) of ``config.source`` in its resolution, colour and split, without the
    share that ``config.held_out`` holds out.

    ``sizes``: the resolutions that the network makes, pixels. ``resolution: auto`` takes the
    smallest of them that is not below the source's own, else the largest; without ``sizes`` the
    source's own. Images are decoded once, then memory-mapped from the cache. ``progress`` is called
    only while decoding. Images that cannot be read are skipped with a warning of the logger
    ``gantune.data`` at each load. Raises ``DataError``, also where these are more than 1%.
    """
    if config.is_points:
        return load_gaussians(config.source)
    return _load_part(HoldoutSplit.for_training(config), config, sizes, progress)


def load_held_out(config: DataConfig, progress: Progress | None = None) -> ImageSet | None:
    """The images that ``config.held_out`` holds out: the source's test part, or a share.

    They have the resolution, colour and classes of ``load_images(config)``; without labels where
    the training images have none, or lack one of the classes. ``None`` for points and where none
    are held out. Cached like the training images. Raises ``DataError``, also where fewer than two
    images would be held out or trained on.
    """
    if config.is_points or config.held_out == 0:
        return None
    if config.held_out != "auto":
        return _load_part(HoldoutSplit(config.held_out, is_held_out=True), config, None, progress)
    if find_test_part(config) is None:
        return None
    training = load_images(config, None, progress)
    changes = {"split": "test", "resolution": training.resolution, "colour": training.colour}
    try:
        images = load_images(config.model_copy(update=changes), None, progress)
        if len(images) < 2:
            raise DataError(f"{config.source}: its test part is one image; scores need 2 or more")
    except DataError as error:
        raise DataError(f"{error} (data.held_out: 0 skips the test part)") from error
    return _with_classes_of(training, images)


def _with_classes_of(training: ImageSet, images: ImageSet) -> ImageSet:
    """The same images with labels that count the classes of the training images."""
    if images.classes == training.classes:
        return images
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    unknown = [name for name in images.classes if name not in training.classes]
    if unknown and training.classes:
        _log.warning(
            "%s: the test part's class %s is not among those of the training part; its labels are "
            "ignored",
            images.source,
            unknown[0],
        )
    elif images.labels is not None and training.classes:
        classes = training.classes
        labels = np.array([classes.index(name) for name in images.classes])[images.labels]
    new_hash = content_hash(images.array, labels)
    return replace(images, labels=labels, classes=classes, content_hash=new_hash)


def _load_part(
    part: HoldoutSplit,
    config: DataConfig,
    sizes: Sequence[int] | None,
    progress: Progress | None,
) -> ImageSet:
    source = find_source(config)
    if config.resolution != "auto" and config.colour != "auto":
        cached = _cached(source, part, config, ImageFormat(config.resolution, config.colour))
        if cached is not None:
            return cached
    with closing(source.open()) as raw:
        image_format = _format(raw, config, sizes)
        cached = _cached(source, part, config, image_format)
        if cached is None:
            images = part.of(raw, config.source)
            build_entry(_entry(source, part, config, image_format), images, image_format, progress)
            cached = _cached(source, part, config, image_format)
    if cached is None:
        raise DataError(f"{config.source}: its entry in the cache was lost while it was read")
    return cached


def _format(raw: RawImages, config: DataConfig, sizes: Sequence[int] | None) -> ImageFormat:
    colour = raw.colour if config.colour == "auto" else config.colour
    if config.resolution != "auto":
        return ImageFormat(config.resolution, colour)
    side = min(raw.native)
    if sizes:
        side = min((size for size in sizes if size >= side), default=max(sizes))
    return ImageFormat(side, colour)


def _entry(source: Source, part: HoldoutSplit, config: DataConfig, image: ImageFormat) -> Path:
    return entry_folder(source.fingerprint, image, config.key, config.split, *part.cache_key)


def _cached(
    source: Source, part: HoldoutSplit, config: DataConfig, image: ImageFormat
) -> ImageSet | None:
    entry = _entry(source, part, config, image)
    images = read_entry(entry, config.source, part.label(config.split))
    if images is not None and images.skipped:
        _log.warning("%s; skipped", images.skipped)
    return images


# ---- Values that are ``auto`` -------------------------------------------------------------------


def resolve_data(config: TrialConfig, progress: Progress | None = None) -> TrialConfig:
    """``resolved`` with the images of ``config``, which are decoded into the cache for it."""
    return resolved(config, load_images(config.data, RESOLUTIONS[config.network.name], progress))


def resolved(config: TrialConfig, images: ImageSet) -> TrialConfig:
    """The same config with every ``auto`` value about the data replaced by that of ``images``.

    Resolution, colour, number of classes and ``network.conditional`` become concrete, the data's
    path absolute; for points only classes and ``conditional``. Raises ``DataError`` where a batch
    is larger than the data, and where the config needs labels that do not exist.
    """
    if config.batch_size > len(images):
        raise DataError(
            f"batch_size: {config.batch_size} is more than the {len(images)} images of "
            f"{config.data.source!r}; take at most that"
        )
    check_classes(config.data, images)
    check_conditional(config.network.conditional, images)
    conditional = config.network.conditional
    if conditional == "auto":
        conditional = images.class_count > 0
    changes = {
        "data": resolved_data(config.data, images),
        "network": config.network.model_copy(update={"conditional": conditional}),
    }
    return config.model_copy(update=changes)


def resolved_data(data: DataConfig, images: ImageSet) -> DataConfig:
    """The same data settings with the values of ``images``, as in ``resolved``."""
    concrete: dict[str, object] = {"classes": images.class_count}
    if not images.is_points:
        concrete["source"] = absolute_source(data.source, Path())
        concrete |= {"resolution": images.resolution, "colour": images.colour}
    return data.model_copy(update=concrete)


def check_classes(config: DataConfig, images: ImageSet) -> None:
    """Raises ``DataError`` where ``data.classes`` is not the source's own number."""
    if config.classes not in ("auto", images.class_count):
        count = images.class_count
        given = f"{count} classes" if count else "no labels (0 classes)"
        raise DataError(
            f"data.classes: {config.classes}, but {images.source!r} has {given}; leave it out, or "
            "set it to auto"
        )


def check_conditional(conditional: Literal["auto"] | bool, images: ImageSet) -> None:
    """Raises ``DataError`` where ``network.conditional`` needs labels that do not exist."""
    if conditional is True and images.class_count == 0:
        raise DataError(
            f"network.conditional: true, but {images.source!r} has no labels; give labelled data "
            "(a folder for each class, labels beside the array), or set network.conditional false "
            "or auto"
        )
