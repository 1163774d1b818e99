"""Brings images to one size and colour: centre crop, antialiased resize, 8 bits a channel."""

from __future__ import annotations

import os
import warnings
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gantune.data.image_set import Colour, RawImages
from gantune.errors import DataError, first_line

Progress = Callable[[int, int], None]
"""Called while decoding with the images done and all there are."""


CORRUPT_SHARE = 0.01
"""A source with a larger share of unreadable images is refused."""


_CHUNK_IMAGES = 256


_CHUNK_BYTES = 8 << 20


_MOST_THREADS = 16


_LARGEST_IMAGE = 89_478_485  # pixels; where Pillow warns of a decompression bomb


_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")


_Item = TypeVar("_Item")


_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ImageFormat:
    """What images are brought to: the side of the square, in pixels, and the colour."""

    side: int
    colour: Colour

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image, [C, H, W]."""
        return (1 if self.colour == "gray" else 3, self.side, self.side)


@dataclass(frozen=True)
class _Chunk:
    rows: NDArray[np.uint8]  # [n, C, H, W], the readable images alone
    kept: list[int]
    corrupt: list[tuple[int, str]]


def prepare(
    raw: RawImages,
    form: ImageFormat,
    write: Callable[[NDArray[np.uint8]], object],
    progress: Progress | None = None,
) -> tuple[NDArray[np.intp], str]:
    """Hands all images to ``write``, uint8 [n, C, H, W] a piece and in order; bounded in memory.

    Returns the indices of the images written, and how many are corrupt and the first of them in
    words, empty if none is. Those are skipped; raises ``DataError`` if they are more than 1%,
    and whatever ``DataError`` the reading of an image raises.
    """
    length = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // int(np.prod(form.shape))))
    chunks = [range(i, min(i + length, raw.count)) for i in range(0, raw.count, length)]
    # Small arrays hold the interpreter's lock nearly all the time: threads would only trade it.
    threads = min(_MOST_THREADS, os.cpu_count() or 1) if raw.encoded else 1
    kept: list[int] = []
    corrupt: list[tuple[int, str]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow on odd metadata; bad pixels are errors
        for chunk in _in_order(partial(_decode, raw, form), chunks, threads):
            write(chunk.rows)
            kept += chunk.kept
            corrupt += chunk.corrupt
            if progress is not None:
                progress(len(kept) + len(corrupt), raw.count)
    return np.array(kept, dtype=np.intp), _judged(raw, corrupt)


def to_form(image: Image.Image, form: ImageFormat) -> NDArray[np.uint8]:
    """One image as uint8 [C, H, W].

    Turned as its EXIF tag says, cropped to the square in its centre, laid on white where it is
    transparent, converted to gray by ITU-R 601-2 or to RGB, and resized by Pillow's Lanczos filter,
    which widens with the scale when it shrinks, so that nothing aliases. 16-bit gray keeps its
    upper 8 bits, rounded. Raises ``ValueError`` for pixels without a known range or too many.
    """
    if image.width * image.height > _LARGEST_IMAGE:
        raise ValueError(f"{image.width}x{image.height} pixels are too many")
    # JPEGs shrink by powers of two while they are decoded; twice the size leaves the filter room.
    image.draft(None, (2 * form.side, 2 * form.side))
    ImageOps.exif_transpose(image, in_place=True)
    side = min(image.size)
    if image.width != image.height:
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    image = _opaque(image)
    mode = "L" if form.colour == "gray" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if side != form.side:
        image = image.resize((form.side, form.side), Image.Resampling.LANCZOS)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _opaque(image: Image.Image) -> Image.Image:
    if image.mode == "F":
        raise ValueError("floating-point pixels have no known range")
    if image.mode.startswith("I"):  # 16 bits, in one of Pillow's modes for them
        pixels = np.asarray(image).astype(np.int64)
        if pixels.min() < 0 or pixels.max() > 65_535:
            raise ValueError("32-bit pixels have no known range")
        return Image.fromarray(((pixels + 128) // 257).astype(np.uint8))
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image


def _decode(raw: RawImages, form: ImageFormat, indices: range) -> _Chunk:
    rows = np.empty((len(indices), *form.shape), dtype=np.uint8)
    kept: list[int] = []
    corrupt: list[tuple[int, str]] = []
    for index in indices:
        try:
            with raw.read(index) as image:
                rows[len(kept)] = to_form(image, form)
        except DataError:
            raise
        except Exception as error:  # image decoders raise an open set on corrupt bytes
            corrupt.append((index, first_line(error)))
        else:
            kept.append(index)
    return _Chunk(rows[: len(kept)], kept, corrupt)


def _in_order(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int
) -> Iterator[_Result]:
    """Maps in threads, a few items ahead of the reader."""
    pool = ThreadPoolExecutor(threads, thread_name_prefix="gantune-decode")
    waiting: deque[Future[_Result]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > 2 * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _judged(raw: RawImages, corrupt: list[tuple[int, str]]) -> str:
    if not corrupt:
        return ""
    named = ", ".join(f"{raw.name(index)} ({why[:80]})" for index, why in corrupt[:3])
    more = f" and {len(corrupt) - 3} more" if len(corrupt) > 3 else ""
    message = f"{len(corrupt)} of {raw.count} images cannot be read: {named}{more}"
    if len(corrupt) > CORRUPT_SHARE * raw.count:
        raise DataError(f"{message}. More than {CORRUPT_SHARE:.0%}: repair or remove them")
    return message
