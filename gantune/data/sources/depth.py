"""How many bits the values of 16 or 32 bits use: cameras give 8, 10, 12 or 14 of them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gantune.data.image_set import random_subset

PROBES = 500
"""Images that are read to find size, colour and depth."""

MOST_LEVEL = 65_535
"""The largest value that is scaled; larger ones have no known range."""

_BITS = (8, 10, 12, 14, 16)
_HOT_SHARE = 1e-3  # of an image's pixels, which may be hot
_HOT_PIXELS = 3  # in a small image, as long as they are at most 1% of it
_FEW = 0.01  # share of images that may be brighter than white
_MIXED = 0.1  # share of images that use far fewer bits than the set
_FAR = 4  # bits


@dataclass(frozen=True)
class Depth:
    """How images of more than 8 bits are scaled to 8."""

    white: int = MOST_LEVEL
    """The value that becomes white; brighter ones are clipped to it."""
    notes: tuple[str, ...] = ()


def is_deep(image: Image.Image) -> bool:
    """Whether it is gray with whole numbers of 16 or 32 bits, signed or not."""
    return image.mode.startswith("I")


def has_deep_colours(image: Image.Image) -> bool:
    """Whether its colours have 16 bits each, of which the decoder keeps the upper 8."""
    return not is_deep(image) and any(";16" in str(tile[3]) for tile in getattr(image, "tile", ()))


def find_depth(names: Sequence[str], read: Callable[[str], Image.Image]) -> Depth:
    """The depth that holds the values of nearly all pixels of nearly all deep images.

    Found once for the whole set, so that dark images stay dark. Hot pixels of a camera do not
    count: up to 0.1% of an image's pixels, or three, and 1% of the images, or one of ten.
    """

    def of(index: int) -> tuple[int, int]:
        try:
            with read(names[index]) as image:
                return _levels_of(image) if is_deep(image) else (-1, -1)
        except Exception:  # reported when all are decoded
            return -1, -1

    chosen = random_subset(len(names), min(PROBES, len(names))).tolist()
    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        found = [levels for levels in pool.map(of, chosen) if levels[0] >= 0]
    if not found:
        return Depth()
    needed = sorted(_bits(level) for level, _ in found)
    few = max(int(_FEW * len(needed)), int(len(needed) >= 10))
    bits = needed[-1 - few]
    white, brightest = (1 << bits) - 1, max(most for _, most in found)
    notes = []
    if bits < _BITS[-1]:
        clipped = f", brighter values (up to {brightest}) are clipped" if brightest > white else ""
        notes.append(
            f"values of over 8 bits use {bits} bits: scaled so that {white} is white{clipped}"
        )
    darker = [each for each in needed if each <= bits - _FAR]
    if len(darker) >= _MIXED * len(needed):
        notes.append(
            f"warning: {len(darker):,} of {len(needed):,} images of over 8 bits that were looked "
            f"at use {darker[-1]} bits or fewer, the others {bits}: all are scaled as {bits} bits; "
            "if they come from different cameras, scale them to 8 bits first"
        )
    return Depth(white, tuple(notes))


def _levels_of(image: Image.Image) -> tuple[int, int]:
    """The value that only hot pixels exceed, and the largest one; -1 where no range is known."""
    pixels = np.asarray(image).reshape(-1)
    if pixels.min() < 0 or pixels.max() > MOST_LEVEL:
        return -1, -1
    hot = max(int(_HOT_SHARE * pixels.size), min(_HOT_PIXELS, pixels.size // 100))
    place = pixels.size - 1 - hot
    return int(np.partition(pixels, place)[place]), int(pixels.max())


def _bits(level: int) -> int:
    return next(bits for bits in _BITS if level < 1 << bits)
