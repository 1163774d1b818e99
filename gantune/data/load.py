"""From a ``DataConfig`` to an ``ImageSet``, by way of the cache."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal

from gantune.config import RESOLUTIONS, DataConfig, TrialConfig, absolute_source
from gantune.data.cache import build_entry, entry_folder, read_entry
from gantune.data.decoding import ImageFormat, Progress
from gantune.data.holdout_split import HoldoutSplit
from gantune.data.image_set import ImageSet, RawImages
from gantune.data.sources import Source, find_source
from gantune.data.sources.builtin import load_gaussians
from gantune.errors import DataError

_log = logging.getLogger("gantune.data")


def load_images(
    config: DataConfig, sizes: Sequence[int] | None = None, progress: Progress | None = None
) -> ImageSet:
    """Images (or points) of ``config.source`` in the resolution, colour and split it names,
    without the share that ``config.held_out`` sets aside.

    ``sizes``: the resolutions that the network makes, pixels. With ``resolution: auto`` the
    smallest of them that is not below the source's own is taken, else the largest; without
    ``sizes`` the source's own. Decoded once, then memory-mapped from the cache. ``progress`` is
    called only while decoding. Images that cannot be read are left out, and each time named in a
    warning of the logger ``gantune.data``. Raises ``DataError``, also for more than 1% of those.
    """
    if config.is_points:
        return load_gaussians(config.source)
    return read_side(HoldoutSplit.learned(config), config, sizes, progress)


def read_side(
    side: HoldoutSplit,
    config: DataConfig,
    sizes: Sequence[int] | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """One side of the images of ``config.source``, as ``load_images`` has it."""
    source = find_source(config)
    if config.resolution != "auto" and config.colour != "auto":
        found = _cached(source, side, config, ImageFormat(config.resolution, config.colour))
        if found is not None:
            return found
    with closing(source.open()) as raw:
        form = _form(raw, config, sizes)
        found = _cached(source, side, config, form)
        if found is None:
            own = side.of(raw, config.source)
            build_entry(_entry(source, side, config, form), own, form, progress)
            found = _cached(source, side, config, form)
    if found is None:
        raise DataError(f"{config.source}: its entry in the cache was lost while it was read")
    return found


def resolve_data(config: TrialConfig, progress: Progress | None = None) -> TrialConfig:
    """``settled`` with the images that ``config`` names; they are decoded into the cache for it."""
    return resolved(config, load_images(config.data, RESOLUTIONS[config.network.name], progress))


def resolved(config: TrialConfig, images: ImageSet) -> TrialConfig:
    """The same config with what ``images`` turned out to be: nothing in it is ``auto`` for them.

    Resolution, colour, the number of classes and whether the networks are conditional are concrete,
    the data's path absolute; of points only the last three. Raises ``DataError`` where a batch is
    larger than the data, and where the config counts on labels that are not there.
    """
    if config.batch_size > len(images):
        raise DataError(
            f"batch_size: {config.batch_size} is more than the {len(images)} images of "
            f"{config.data.source!r}; take at most that"
        )
    check_classes(config.data, images)
    check_conditional(config.network.conditional, images)
    told = config.network.conditional
    conditional = images.class_count > 0 if told == "auto" else told
    parts = {
        "data": resolved_data(config.data, images),
        "network": config.network.model_copy(update={"conditional": conditional}),
    }
    return config.model_copy(update=parts)


def resolved_data(data: DataConfig, images: ImageSet) -> DataConfig:
    """The same data with what ``images`` turned out to be, as ``settled`` has it."""
    concrete: dict[str, object] = {"classes": images.class_count}
    if not images.is_points:
        concrete["source"] = absolute_source(data.source, Path())
        concrete |= {"resolution": images.resolution, "colour": images.colour}
    return data.model_copy(update=concrete)


def _form(raw: RawImages, config: DataConfig, sizes: Sequence[int] | None) -> ImageFormat:
    colour = raw.colour if config.colour == "auto" else config.colour
    if config.resolution != "auto":
        return ImageFormat(config.resolution, colour)
    side = min(raw.native)
    if sizes:
        side = min((size for size in sizes if size >= side), default=max(sizes))
    return ImageFormat(side, colour)


def _entry(source: Source, side: HoldoutSplit, config: DataConfig, form: ImageFormat) -> Path:
    return entry_folder(source.identity, form, config.key, config.split, *side.details)


def _cached(
    source: Source, side: HoldoutSplit, config: DataConfig, form: ImageFormat
) -> ImageSet | None:
    entry = _entry(source, side, config, form)
    found = read_entry(entry, config.source, side.called(config.split))
    if found is not None and found.skipped:
        _log.warning("%s; skipped", found.skipped)
    return found


# Whether the images have the labels that a config counts on.


def check_classes(config: DataConfig, images: ImageSet) -> None:
    """Raises ``DataError`` where ``data.classes`` is not the source's own number."""
    if config.classes not in ("auto", images.class_count):
        raise DataError(
            f"data.classes: {config.classes}, but {images.source!r} has {_counted(images)}; "
            "leave it out, or set it to auto"
        )


def check_conditional(conditional: Literal["auto"] | bool, images: ImageSet) -> None:
    """Raises ``DataError`` where ``network.conditional`` asks for labels that are not there."""
    if conditional is True and images.class_count == 0:
        raise DataError(
            f"network.conditional: true, but {images.source!r} has no labels; give labelled data "
            "(a folder for each class, labels beside the array), or set network.conditional false "
            "or auto"
        )


def _counted(images: ImageSet) -> str:
    return f"{images.class_count} classes" if images.class_count else "no labels (0 classes)"
