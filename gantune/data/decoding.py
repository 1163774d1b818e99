"""Converts images to one size and colour: centre crop, antialiased resize, 8 bits per channel."""

import os
import re
import warnings
from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import accumulate
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from gantune.data.image_set import Colour, RawImages, Unreadable, unreadable_remedy, unreadable_text
from gantune.errors import DataError, UnreadableError, first_line
from gantune.io.formatting import count, first_names, one_line

Progress = Callable[[int, int], None]
"""Called while decoding with the number of images done and of all images."""

MAX_CORRUPT_SHARE = 0.01
"""A source with a larger share of unreadable images is refused."""

_CHUNK_IMAGES = 256
_CHUNK_BYTES = 8 << 20
_MAX_THREADS = 16
_MAX_PIXELS = 89_478_485  # where Pillow warns of a decompression bomb
_TO_8_BITS = "scale them to 0 to 255 and save 8-bit PNGs"
_MOST = 0.9  # of the images, from which on all count as alike
_SMALL, _LITTLE = 0.7, 0.5  # share of an image that the crop keeps: told, warned of
_ALPHA_MODES = ("LA", "La", "PA", "RGBA", "RGBa")

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class ImageFormat:
    """Side of the square images, in pixels, and their colour."""

    side: int
    colour: Colour

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of one image, [C, H, W]."""
        return (1 if self.colour == "gray" else 3, self.side, self.side)


class Converted(NamedTuple):
    """What became of the images of a source."""

    rows: NDArray[np.intp]
    """The indices of the images that were written."""
    unreadable: tuple[Unreadable, ...]
    """Those that are corrupt."""
    notes: tuple[str, ...]
    """What was cut off: further pages, and what is outside the square."""


def convert(
    raw: RawImages,
    image_format: ImageFormat,
    write: Callable[[NDArray[np.uint8]], object],
    progress: Progress | None = None,
) -> Converted:
    """Passes all images to ``write`` in order, in parts uint8 [n, C, H, W]; bounded in memory.

    Skips corrupt images. Raises ``UnreadableError`` if more than 1% are, and any
    ``DataError`` of reading an image.
    """
    length = max(1, min(_CHUNK_IMAGES, _CHUNK_BYTES // int(np.prod(image_format.shape))))
    chunks = [range(i, min(i + length, raw.count)) for i in range(0, raw.count, length)]
    # Small arrays hold the interpreter's lock nearly all the time: threads would not help.
    threads = min(_MAX_THREADS, os.cpu_count() or 1) if raw.encoded else 1
    written = array("q")
    corrupt: list[tuple[int, str]] = []
    sizes: Counter[tuple[int, int]] = Counter()
    stacks: list[tuple[int, int]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow on odd metadata; bad pixels are errors
        decode = partial(_decode, raw, image_format)
        for rows, readable, unreadable, of_chunk in _map_in_threads(decode, chunks, threads):
            write(rows)
            written.extend(readable)
            corrupt += unreadable
            sizes.update((form.long, form.short) for form in of_chunk)
            of_rows = zip(readable, of_chunk, strict=True)
            stacks += [(index, form.pages) for index, form in of_rows if form.pages > 1]
            if progress is not None:
                progress(len(written) + len(corrupt), raw.count)
    images = tuple(Unreadable(one_line(raw.name(index)), why) for index, why in corrupt)
    if len(images) > MAX_CORRUPT_SHARE * raw.count:
        place = f"{raw.place}: " if raw.place else ""
        raise UnreadableError(
            f"{place}{unreadable_text(images, raw.count)}. More than {MAX_CORRUPT_SHARE:.0%}: "
            f"{unreadable_remedy(image.why for image in images)}",
            images,
        )
    pages = {raw.name(index): held for index, held in stacks}
    notes = (*_further_pages(pages), *_cut_off(sizes))
    return Converted(np.array(written, dtype=np.intp), images, notes)


class _Form(NamedTuple):
    """An image before its conversion."""

    long: int
    """Its longer side, pixels."""
    short: int
    pages: int
    """Number of pages or frames; 1 for most."""


def _form(image: Image.Image) -> _Form:
    # A JPEG of a phone has further views of the same picture.
    pages = 1 if image.format in ("JPEG", "MPO") else int(getattr(image, "n_frames", 1))
    return _Form(max(image.size), min(image.size), pages)


def _further_pages(stacks: Mapping[str, int]) -> list[str]:
    """``stacks``: number of pages, two or more, by name."""
    if not stacks:
        return []
    further = count(sum(stacks.values()) - len(stacks), "further page")
    return [
        f"{further} of {count(len(stacks), 'file')} not looked at ({first_names(list(stacks), 1)}: "
        "of a stack or animation the first page is read; to learn all, save each as a file)"
    ]


def _cut_off(sizes: Counter[tuple[int, int]]) -> list[str]:
    """What the crop to a square leaves, if that is little of most images.

    ``sizes``: number of images by their longer and shorter side.
    """
    total = sizes.total()
    if not total:
        return []
    for times in (2, 3):
        exact = sum(held for (long, short), held in sizes.items() if long == times * short)
        if exact >= _MOST * total:
            return [
                f"warning: {exact:,} of {total:,} images have sides of exactly {times}:1: "
                f"the crop to a square keeps the middle {1 / times:.0%}; if each shows {times} "
                f"pictures side by side, cut them in {times} first, and learn one of these"
            ]
    shares = sorted((short / long, held) for (long, short), held in sizes.items())
    up_to = accumulate(held for _, held in shares)
    kept = next(share for (share, _), n in zip(shares, up_to, strict=True) if n > total // 2)
    warning = "warning: " * (kept <= _LITTLE)
    return [f"{warning}the crop to a square keeps {kept:.0%} of an image"] if kept < _SMALL else []


def convert_image(
    image: Image.Image, image_format: ImageFormat, levels: int = 65_535
) -> NDArray[np.uint8]:
    """One image as uint8 [C, H, W].

    Rotated by its EXIF tag, cropped to the square in its centre, composed on white where it is
    transparent, converted to gray (ITU-R 601-2) or RGB, and resized by Pillow's Lanczos filter,
    which is antialiased. Deeper gray keeps 8 bits, rounded; ``levels`` is its white. Raises
    ``ValueError`` for too many pixels, and for pixels without a known range.
    """
    if image.width * image.height > _MAX_PIXELS:
        raise ValueError(f"{image.width}x{image.height} pixels are too many")
    # JPEGs can shrink by powers of two while decoding; twice the size leaves the filter room.
    image.draft(None, (2 * image_format.side, 2 * image_format.side))
    ImageOps.exif_transpose(image, in_place=True)
    side = min(image.size)
    if image.width != image.height:
        left, top = (image.width - side) // 2, (image.height - side) // 2
        image = image.crop((left, top, left + side, top + side))
    image = _opaque(image, levels)
    mode = "L" if image_format.colour == "gray" else "RGB"
    if image.mode != mode:
        image = image.convert(mode)
    if side != image_format.side:
        image = image.resize((image_format.side, image_format.side), Image.Resampling.LANCZOS)
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


def _opaque(image: Image.Image, levels: int) -> Image.Image:
    if image.mode == "F":
        raise ValueError(f"floating-point pixels have no known range; {_TO_8_BITS}")
    if image.mode.startswith("I"):  # 16 or 32 bits
        pixels = np.asarray(image).astype(np.int64)
        low, high = int(pixels.min()), int(pixels.max())
        if low < 0 or high > 65_535:
            raise ValueError(f"pixels from {low} to {high} have no known range; {_TO_8_BITS}")
        pixels = pixels.clip(0, levels)
        return Image.fromarray(((2 * 255 * pixels + levels) // (2 * levels)).astype(np.uint8))
    if image.mode in _ALPHA_MODES or "transparency" in image.info:
        layer = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    return image


def _decode(
    raw: RawImages, image_format: ImageFormat, indices: range
) -> tuple[NDArray[np.uint8], list[int], list[tuple[int, str]], list[_Form]]:
    """The readable images [n, C, H, W], their indices, the corrupt ones with the reason, and the
    forms of the readable ones."""
    rows = np.empty((len(indices), *image_format.shape), dtype=np.uint8)
    readable: list[int] = []
    corrupt: list[tuple[int, str]] = []
    forms: list[_Form] = []
    for index in indices:
        try:
            with raw.read(index) as image:
                form = _form(image)
                rows[len(readable)] = convert_image(image, image_format, raw.levels)
        except DataError:
            raise
        except Exception as error:  # decoders raise almost anything on corrupt bytes
            corrupt.append((index, _reason(error)))
        else:
            readable.append(index)
            forms.append(form)
    return rows[: len(readable)], readable, corrupt, forms


def _map_in_threads(
    function: Callable[[_Item], _Result], items: Iterable[_Item], threads: int
) -> Iterator[_Result]:
    """The results in order; works a few items ahead of the reader."""
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


def _reason(error: Exception) -> str:
    """Why an image cannot be read, without its path, which is named anyway."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return re.sub(r" file ('[^']*'|<[^>]*>)$", " file", first_line(error))[:120]
