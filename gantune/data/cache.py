"""The cache of decoded images: one folder per entry, memory-mapped by any number of processes."""

import hashlib
import json
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gantune.data.decoding import ImageFormat, Progress, convert
from gantune.data.image_set import ImageSet, RawImages, Unreadable
from gantune.errors import CacheError, is_disk_full
from gantune.io.files import whole_folder, write_text
from gantune.io.formatting import one_line
from gantune.io.home import expand_home, home_or_substitute

_VERSION = 7  # of an entry's layout, of the conversion of images, and of how classes are found
_PIXELS, _LABELS, _ABOUT = "images.u8", "labels.npy", "about.json"
_DARK = 15  # of 255
_MOST = 0.9  # share of the images from which on a set is odd
_COPIES = 0.1  # share of images that are exact copies of others
_LISTED = 1_000  # copies
_MAX_HASHED = 1 << 30  # bytes; hashing more would slow down every start


def cache_folder() -> Path:
    """The folder of files that can be computed again: ``GANTUNE_CACHE``, else ``gantune`` in the
    user's cache folder. Raises ``HomeError`` where that cannot be known."""
    if folder := os.environ.get("GANTUNE_CACHE"):
        return Path(expand_home(folder))
    shared = os.environ.get("XDG_CACHE_HOME")
    return (Path(shared) if shared else home_or_substitute() / ".cache") / "gantune"


def fingerprint(files: Iterable[Path]) -> str:
    """A hash of the files' paths, sizes and modification times; cheaper than one of all bytes.

    Raises ``OSError`` for a file that is gone.
    """
    digest = hashlib.sha256()
    for file in files:
        stat = file.stat()
        digest.update(f"{file}\0{stat.st_size}\0{stat.st_mtime_ns}\n".encode(errors="replace"))
    return digest.hexdigest()


def content_hash(array: NDArray[np.generic], labels: NDArray[np.int64] | None) -> str:
    """SHA-256 (hexadecimal) over shape, number format and bytes of images and labels."""
    digest = hashlib.sha256()
    for part in (array, labels):
        if part is not None:
            digest.update(f"{part.shape} {part.dtype.str}\n".encode())
            digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def entry_folder(source: str, image_format: ImageFormat, *details: str | None) -> Path:
    """The entry of a source (its fingerprint) in one format; ``details``: key, split and so on."""
    text = json.dumps([_VERSION, source, asdict(image_format), details])
    return cache_folder() / "data" / hashlib.sha256(text.encode()).hexdigest()[:32]


def read_entry(folder: Path, source: str, split: str) -> ImageSet | None:
    """The images of an entry, memory-mapped; ``None`` where there is none or it is damaged.

    Checks all bytes against ``content_hash``; of images over 1 GiB only their number.
    """
    try:
        about = json.loads((folder / _ABOUT).read_text(encoding="utf-8"))
        shape = tuple(about["shape"])
        if (folder / _PIXELS).stat().st_size != np.prod(shape):
            return None
        labels = np.load(folder / _LABELS, allow_pickle=False) if about["classes"] else None
        if labels is not None and labels.shape != shape[:1]:
            return None
        array = np.memmap(folder / _PIXELS, dtype=np.uint8, mode="r", shape=shape)
        is_checked = array.nbytes <= _MAX_HASHED
        if is_checked and content_hash(array, labels) != about["content_hash"]:
            return None
        return ImageSet(
            array=array,
            source=source,
            content_hash=about["content_hash"],
            labels=labels,
            classes=tuple(about["classes"]),
            split=split,
            native=(about["native"][0], about["native"][1]),
            unreadable=tuple(Unreadable(name, why) for name, why in about["unreadable"]),
            copies=tuple((copy, original) for copy, original in about["copies"]),
            notes=tuple(about["notes"]),
        )
    except Exception:  # NumPy evaluates a header: a damaged one raises errors of all kinds
        return None


def build_entry(
    folder: Path, raw: RawImages, image_format: ImageFormat, progress: Progress | None
) -> None:
    """Decodes all images into an entry, completely or not at all.

    Of two processes that build the same entry, the first to finish wins. Raises ``CacheError``
    where the cache cannot be written, and ``DataError`` where too many images are corrupt.
    """

    def is_whole(entry: Path) -> bool:
        return read_entry(entry, "", "") is not None

    with cache_errors(), whole_folder(folder, is_whole) as temporary:
        _write(temporary, raw, image_format, progress)


@contextmanager
def cache_errors() -> Iterator[None]:
    """Turns an ``OSError`` while writing the cache into a ``CacheError`` with a remedy."""
    try:
        yield
    except OSError as error:
        raise CacheError(
            f"{cache_folder()}: the cache cannot be written: {error.strerror or error}; "
            f"{cache_remedy(error)}"
        ) from error


def cache_remedy(error: OSError | None = None) -> str:
    """What helps where the cache cannot be written, or has no room (``None``)."""
    is_full = error is None or is_disk_full(error)
    return f"set GANTUNE_CACHE to a folder {'with space' if is_full else 'that you can write'}"


def _write(
    folder: Path, raw: RawImages, image_format: ImageFormat, progress: Progress | None
) -> None:
    # Plain writes: on a full disk they raise, while a store into a memory map kills the process.
    with (folder / _PIXELS).open("wb") as file:
        done = convert(raw, image_format, lambda part: file.write(part.data), progress)
        file.flush()
        os.fsync(file.fileno())
    shape = (len(done.rows), *image_format.shape)
    labels = None if raw.labels is None else np.ascontiguousarray(raw.labels[done.rows])
    if labels is not None:
        with (folder / _LABELS).open("wb") as file:
            np.save(file, labels, allow_pickle=False)
            os.fsync(file.fileno())
    pixels = np.memmap(folder / _PIXELS, dtype=np.uint8, mode="r", shape=shape)
    odd, copies = _oddities(pixels, raw, lambda row: one_line(raw.name(int(done.rows[row]))))
    about = {
        "shape": shape,
        "content_hash": content_hash(pixels, labels),
        "classes": raw.classes if labels is not None else (),
        "native": raw.native,
        "unreadable": done.unreadable,
        "copies": copies,
        "notes": [*raw.notes, *done.notes, *odd],
    }
    write_text(folder / _ABOUT, json.dumps(about))


def _oddities(
    pixels: NDArray[np.uint8], raw: RawImages, name: Callable[[int], str]
) -> tuple[list[str], list[tuple[str, str]]]:
    """Warnings of a set that shows nearly nothing, or nearly always the same; with the names of
    copies, each beside the first image that is the same."""
    found, count, seen = list[str](), len(pixels), dict[int, int]()
    dark, same, copies = Counter[int](), Counter[int](), list[tuple[int, int]]()
    for row, image in enumerate(pixels):  # once, as they may be larger than the memory
        if (top := int(image.max())) <= _DARK:
            dark[top] += 1
        first = seen.setdefault(hash(image.tobytes()), row)
        same[first] += 1
        if first != row:
            copies.append((row, first))
    if dark.total() >= _MOST * count:
        top = max(dark)
        remedy = f"multiply them by {255 // top}, or " if top else ""
        why = "of their colours of 16 bits the upper 8 are read: " if raw.deep_colours else ""
        found.append(
            f"warning: nearly all of them are black: their values are 0{f' to {top}' * (top > 0)} "
            f"of 0 to 255; {why}{remedy}scale them to 0 to 255 and save them again"
        )
    if not copies or len(copies) < _COPIES * count:
        return found, []
    named = [(name(row), name(first)) for row, first in copies[:_LISTED]]
    ((_, most),) = same.most_common(1)
    if most >= _MOST * count:
        found.append(f"warning: {most:,} of {count:,} are one and the same image")
    else:
        found.append(
            f"warning: {len(copies):,} of {count:,} images are copies of others: remove them, such "
            f"as {named[0][0]}, which is {named[0][1]}"
        )
    return found, named
