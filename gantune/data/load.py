"""Loads the images of a ``DataConfig`` through the cache, and resolves ``auto`` values by them."""

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from gantune.config import RESOLUTIONS, DataConfig, TrialConfig, absolute_source, largest_batch
from gantune.data.cache import build_entry, content_hash, entry_folder, read_entry
from gantune.data.decoding import ImageFormat, Progress
from gantune.data.image_set import ImageSet, RawImages, random_order, subset
from gantune.data.sources import Source, find_source, held_out_part, other_part
from gantune.data.sources.builtin import load_gaussians
from gantune.errors import DataError
from gantune.io.formatting import count as counted

_HOLDOUT_SEED = 20_240_229
_LEAST_IMAGES = 2  # in either part: statistics need two


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
    def for_training(cls, config: DataConfig) -> Self:
        """The images that ``config`` trains on: all, unless its ``held_out`` is a share."""
        return cls(0.0 if isinstance(config.held_out, str) else config.held_out)

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
        if min(held_out, raw.count - held_out) < _LEAST_IMAGES:
            raise DataError(
                f"data.held_out: {self.share:g} of the {raw.count} images of {source!r} holds "
                f"{held_out} out and leaves {raw.count - held_out} to train on; both need "
                f"{_LEAST_IMAGES} or more: take another share, or 0"
            )
        order = random_order(raw.count, _HOLDOUT_SEED)
        rows = order[:held_out] if self.is_held_out else order[held_out:]
        return subset(raw, np.sort(rows))


def load_images(
    config: DataConfig, sizes: Sequence[int] | None = None, progress: Progress | None = None
) -> ImageSet:
    """Images (or points) of ``config.source`` in its resolution, colour and split, without the
    share that ``config.held_out`` holds out.

    ``sizes``: the resolutions that the network makes, pixels. ``resolution: auto`` takes the
    smallest of them that is not below the source's own, else the largest; without ``sizes`` the
    source's own. Images are decoded once, then memory-mapped from the cache. ``progress`` is called
    only while decoding. Images that cannot be read are skipped, which ``ImageSet.found`` says.
    Raises ``DataError``, also where these are more than 1%.
    """
    if config.is_points:
        return load_gaussians(config.source)
    part = HoldoutSplit.for_training(config)
    source = find_source(config)
    return _with_parts(_load_part(source, part, config, sizes, progress), source, config)


def load_parts(
    config: DataConfig, sizes: Sequence[int] | None = None, progress: Progress | None = None
) -> tuple[ImageSet, ImageSet | None]:
    """``load_images``, and the images that ``config.held_out`` holds out: the source's test or val
    part, or a share. The files of the source are listed once for both.

    Those held out have the resolution, colour and classes of the training images; without labels
    where these have none, or lack one of the classes. ``None`` for points and where none are held
    out. Cached like the training images. Raises ``DataError``, also where fewer than two images
    would be held out or trained on.
    """
    if config.is_points:
        return load_gaussians(config.source), None
    source, part = find_source(config), HoldoutSplit.for_training(config)
    learned = _load_part(source, part, config, sizes, progress)
    form = {"resolution": learned.resolution, "colour": learned.colour}
    held_out = _load_held_out(source, config.model_copy(update=form), learned, progress)
    return _with_parts(learned, source, config), held_out


def load_held_out(config: DataConfig, progress: Progress | None = None) -> ImageSet | None:
    """The second of ``load_parts``."""
    return load_parts(config, None, progress)[1]


def _load_held_out(
    source: Source, config: DataConfig, learned: ImageSet, progress: Progress | None
) -> ImageSet | None:
    if config.held_out == 0:
        return None
    if not isinstance(config.held_out, str):
        aside = HoldoutSplit(config.held_out, is_held_out=True)
        return _load_part(source, aside, config, None, progress)
    split = held_out_part(source, config)
    if split is None:
        return None
    config = config.model_copy(update={"split": split})
    try:
        part = other_part(source, config, split)
        images = _load_part(part, HoldoutSplit(0.0), config, None, progress)
        if len(images) < 2:
            raise DataError(
                f"{config.source}: its {split} part is one image; scores need 2 or more"
            )
    except DataError as error:
        raise DataError(f"{error} (data.held_out: 0 skips the {split} part)") from error
    return _with_classes_of(learned, images)


def _with_parts(learned: ImageSet, source: Source, config: DataConfig) -> ImageSet:
    """The same images, which say what becomes of the parts that are not learned."""
    others = [part for part in source.parts if part != config.split]
    if not others:
        return learned
    judges = held_out_part(source, config) if isinstance(config.held_out, str) else None

    def named(part: str) -> str:
        size = f" ({source.sizes[part]:,})" if part in source.sizes else ""
        return f"{part}{size} {'held out to judge by' if part == judges else 'not used'}"

    others.sort(key=lambda part: part != judges)
    note = f"other parts: {', '.join(named(part) for part in others)}"
    return replace(learned, notes=(note, *learned.notes))


def _with_classes_of(training: ImageSet, images: ImageSet) -> ImageSet:
    """The same images with labels that count the classes of the training images."""
    if images.classes == training.classes:
        return images
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    notes = images.notes
    unknown = [name for name in images.classes if name not in training.classes]
    if unknown and training.classes:
        notes += (f"warning: {_unknown_class(unknown, images, training)}",)
    elif images.labels is not None and training.classes:
        classes = training.classes
        labels = np.array([classes.index(name) for name in images.classes])[images.labels]
    new_hash = content_hash(images.array, labels)
    return replace(images, labels=labels, classes=classes, content_hash=new_hash, notes=notes)


def _unknown_class(unknown: Sequence[str], images: ImageSet, training: ImageSet) -> str:
    """Why labels of images are not used, some classes of which are not learned."""
    learned = {name.lower(): name for name in training.classes}
    if other := next((name for name in unknown if name.lower() in learned), ""):
        return (
            f"{images.split} has a class {other!r}, which {training.split} calls "
            f"{learned[other.lower()]!r}: write both in the same upper and lower case; until then "
            "its labels are not used"
        )
    return (
        f"{images.split} has a class {unknown[0]!r} that is not learned, so its labels are not used"
    )


def _load_part(
    source: Source,
    part: HoldoutSplit,
    config: DataConfig,
    sizes: Sequence[int] | None,
    progress: Progress | None,
) -> ImageSet:
    meaning = () if config.folders == "auto" else (config.folders,)
    details = (config.key, config.split, *part.cache_key, *meaning)

    def cached(image_format: ImageFormat) -> ImageSet | None:
        entry = entry_folder(source.fingerprint, image_format, *details)
        images = read_entry(entry, config.source, part.label(config.split))
        return images and replace(images, notes=(*source.notes, *images.notes))

    found = None
    if config.resolution != "auto" and config.colour != "auto":
        found = cached(ImageFormat(config.resolution, config.colour))
    if found is not None:
        return found
    with closing(source.open()) as raw:
        side = min(raw.native) if config.resolution == "auto" else config.resolution
        if config.resolution == "auto" and sizes:
            side = min((size for size in sizes if size >= side), default=max(sizes))
        image_format = ImageFormat(side, raw.colour if config.colour == "auto" else config.colour)
        found = cached(image_format)
        if found is None:
            entry = entry_folder(source.fingerprint, image_format, *details)
            build_entry(entry, part.of(raw, config.source), image_format, progress)
            found = cached(image_format)
    if found is None:
        raise DataError(f"{config.source}: its entry in the cache was lost while it was read")
    return found


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
    check_number(images)
    if config.batch_size > len(images):
        fits = largest_batch(len(images), [config.accumulation])
        few = f"batch_size {fits}" if fits else "more images, or a smaller batch and accumulation"
        raise DataError(
            f"batch_size: {config.batch_size} is more than the "
            f"{counted(len(images), 'image')} of {config.data.source!r}; take {few}"
        )
    if config.data.classes not in ("auto", images.class_count):
        count = images.class_count
        given = f"{count} classes" if count else "no labels (0 classes)"
        raise DataError(
            f"data.classes: {config.data.classes}, but {images.source!r} has {given}; leave it "
            "out, or set it to auto"
        )
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
    concrete: dict[str, object] = {"classes": images.class_count, "class_names": images.classes}
    if not images.is_points:
        concrete["source"] = absolute_source(data.source, Path())
        concrete |= {"resolution": images.resolution, "colour": images.colour}
    return data.model_copy(update=concrete)


def check_number(images: ImageSet) -> None:
    """Raises ``DataError`` for fewer images than the smallest batch holds."""
    if len(images) < _LEAST_IMAGES:
        raise DataError(
            f"{images.source}: one image is too few, as a batch holds 2 or more; add images: 100 "
            "or more, better thousands"
        )


def unused_classes(images: ImageSet, how: str) -> str:
    """A sentence on classes that a network without conditions does not learn; empty where there are
    none, and for a built-in source.

    ``how``: how they are learned.
    """
    if images.class_count < 2 or images.source == "digits":
        return ""
    return (
        f"the {images.class_count:,} classes serve scores alone, as network.conditional is false; "
        f"{how} makes the GAN learn them, and sample draws one by its name"
    )


def check_conditional(conditional: Literal["auto"] | bool, images: ImageSet) -> None:
    """Raises ``DataError`` where ``network.conditional`` needs labels that do not exist."""
    if conditional is True and images.class_count == 0:
        raise DataError(
            f"network.conditional: true, but {images.source!r} has no labels; give labelled data "
            "(a folder for each class, labels beside the array), or set network.conditional false "
            "or auto"
        )
