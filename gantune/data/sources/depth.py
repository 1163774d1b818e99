"""How many bits the values of 16-bit images use: cameras give 8, 10, 12 or 14 of them."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from PIL import Image

from gantune.data.image_set import random_subset

PROBES = 500
"""Images that are read to find size, colour and depth."""

_BITS = (8, 10, 12, 14, 16)
_HOT_SHARE = 1e-3  # of an image's pixels, which may be hot
_HOT_PIXELS = 3  # in a small image, as long as they are at most 1% of it
_FEW = 0.01  # share of images that may be brighter than white
_MIXED = 0.1  # share of images that use far fewer bits than the set
_FAR = 4  # bits


@dataclass(frozen=True)
class Depth:
    """How images of 16 bits are scaled to 8."""

    white: int = 65_535
    """The value that becomes white; brighter ones are clipped to it."""
    notes: tuple[str, ...] = ()


def has_16_bits(image: Image.Image) -> bool:
    """Whether its values have 16 bits each; colour images are brought to 8 bits by the decoder."""
    return image.mode.startswith("I;16")


def find_depth(names: Sequence[str], read: Callable[[str], Image.Image]) -> Depth:
    """The depth that holds the values of nearly all pixels of nearly all 16-bit images.

    Found once for the whole set, so that dark images stay dark. Hot pixels of a camera do not
    count: up to 0.1% of an image's pixels, or three, and 1% of the images, or one of ten.
    """

    def of(index: int) -> tuple[int, int]:
        try:
            with read(names[index]) as image:
                return _levels_of(image) if has_16_bits(image) else (-1, -1)
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
        notes.append(f"16-bit values use {bits} bits: scaled so that {white} is white{clipped}")
    darker = [each for each in needed if each <= bits - _FAR]
    if len(darker) >= _MIXED * len(needed):
        notes.append(
            f"warning: {len(darker):,} of {len(needed):,} images of 16 bits that were looked at "
            f"use {darker[-1]} bits or fewer, the others {bits}: all are scaled as {bits} bits; if "
            "they come from different cameras, scale them to 8 bits first"
        )
    return Depth(white, tuple(notes))


def _levels_of(image: Image.Image) -> tuple[int, int]:
    """The value that only hot pixels exceed, and the largest one."""
    pixels = np.asarray(image).reshape(-1)
    hot = max(int(_HOT_SHARE * pixels.size), min(_HOT_PIXELS, pixels.size // 100))
    place = pixels.size - 1 - hot
    return int(np.partition(pixels, place)[place]), int(pixels.max())


def _bits(level: int) -> int:
    return next(bits for bits in _BITS if level < 1 << bits)
