"""``load_samples``: samples of any model, unchanged, for scores."""

import tempfile
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantune.config import DataConfig
from gantune.data.cache import cache_errors, cache_folder, content_hash
from gantune.data.decoding import ImageFormat, Progress, convert
from gantune.data.image_set import (
    ImageSet,
    RawImages,
    random_subset,
    reading,
    subset,
    unreadable_remedy,
    unreadable_text,
)
from gantune.data.sources import find_source
from gantune.data.sources.arrays import array_images
from gantune.errors import DataError
from gantune.io.home import expand_home


def load_samples(
    samples: Path | str | NDArray[Any],
    *,
    colour: Literal["auto", "gray", "rgb"] = "auto",
    key: str | None = None,
    most: int | None = None,
    progress: Progress | None = None,
) -> ImageSet:
    """Images of a folder, zip, ``.npy`` or ``.npz`` file, or of an array, uint8 [N, C, S, S].

    Nothing is cropped, resized or skipped. ``colour``: convert to it; ``auto``: their own. ``key``:
    the array of an ``.npz`` file. ``most``: only so many, chosen at random by a fixed seed. Floats
    lie in [0, 1], or in [-1, 1] where any of them is below -0.001. Memory-mapped from an unnamed
    file in the cache folder, which disappears with the array. Labels are ignored.

    Raises ``DataError`` for fewer than two images, for images that cannot be read, are not square
    or not of the size of the first, for other channels than 1, 3 or 4, and for floats out of range
    or not finite.
    """
    name = "samples" if isinstance(samples, np.ndarray) else str(samples)
    if most is not None and most < 2:
        raise DataError(f"{name}: {most} of its images asked for; a score needs 2 or more")
    with closing(_open(samples, name, key)) as raw:
        if raw.count < 2:
            raise DataError(f"{name}: holds one image; a score needs 2 or more")
        if most is not None:
            raw = subset(raw, random_subset(raw.count, min(most, raw.count)))
        raw = _uniform(raw)
        image_format = ImageFormat(raw.native[0], raw.colour if colour == "auto" else colour)
        with cache_errors():
            cache_folder().mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=cache_folder()) as file:
                done = convert(raw, image_format, lambda a: file.write(a.data), progress)
                if done.unreadable:
                    raise DataError(
                        f"{name}: {unreadable_text(done.unreadable, raw.count)}. Every sample "
                        f"counts: {unreadable_remedy(image.why for image in done.unreadable)}"
                    )
                file.flush()
                shape = (raw.count, *image_format.shape)
                array = np.memmap(file, dtype=np.uint8, mode="r", shape=shape)
        new_hash = content_hash(array, None)
        notes = (*raw.notes, *done.notes)
        return ImageSet(array, name, new_hash, split="samples", native=raw.native, notes=notes)


def _open(samples: Path | str | NDArray[Any], name: str, key: str | None) -> RawImages:
    if isinstance(samples, np.ndarray):
        return array_images(samples, name)
    path = Path(samples)
    with reading(path):
        file = Path(expand_home(str(path)))
        if not file.exists():
            raise DataError(
                f"{path}: no such file or folder; samples are a folder or zip of images, or an "
                ".npy or .npz file"
            )
        if file.suffix in (".yaml", ".yml"):
            raise DataError(
                f"{path}: settings, not samples; name the checkpoint that was trained with them, "
                "such as runs/train/best.pt"
            )
        source = find_source(DataConfig(source=str(file.resolve()), key=key))
    raw = source.open()
    return replace(raw, notes=(*source.notes, *raw.notes))


def _uniform(raw: RawImages) -> RawImages:
    """The same images; reading one of another size than the first raises ``DataError``."""
    with reading(Path(raw.full_name(0))), raw.read(0) as image:
        width, height = image.size
    if width != height:
        raise DataError(
            f"{raw.full_name(0)}: {width}x{height} pixels (width x height); samples are square: "
            "crop or resize them as the real images were"
        )

    def read(index: int) -> Image.Image:
        image = raw.read(index)
        if image.size != (width, height):
            image.close()
            size = "x".join(map(str, image.size))
            raise DataError(
                f"{raw.full_name(index)}: {size} pixels, but {raw.full_name(0)}: {width}x{height}; "
                "samples have one size: resize them to that of the real images"
            )
        return image

    return replace(raw, read=read, native=(height, width))
