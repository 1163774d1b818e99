"""IDX files, the format of MNIST and similar sets (LeCun and Cortes), gzipped or not."""

import gzip
import math
import re
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gantune.data.image_set import MAX_DEFLATE_RATIO, RawImages, encode_labels, from_arrays, reading
from gantune.errors import DataError

_IMAGES = re.compile(r"(train|t10k|test)-images[-.]idx3-ubyte(\.gz)?$")
_PARTS = {"train": ("train",), "test": ("t10k", "test")}
_UNSIGNED_BYTES = 0x08  # the third byte of the magic number; the fourth counts the dimensions


def idx_files(path: Path, split: str) -> list[Path]:
    """The file of images and, if there is one, of labels; of a folder or a file of images.

    In a folder (or its ``raw``, as torchvision has it) by MNIST's file names; empty where there are
    none. Raises ``DataError`` where the folder does not have the part, or has it twice.
    """
    if path.is_file():
        return _with_labels(path)
    found = _images_by_part(path)
    if not found:
        return []
    # A file and its gzipped copy are one part; the plain one reads faster.
    matching = {
        str(f).removesuffix(".gz"): f for f in reversed(found) if found[f] in _PARTS.get(split, ())
    }
    names = ", ".join(file.name for file in found)
    if not matching:
        raise DataError(f"{path}: no {split!r} part among its IDX files: {names}")
    if len(matching) > 1:
        raise DataError(f"{path}: several {split!r} parts: {names}; name one of the files itself")
    return _with_labels(next(iter(matching.values())))


def idx_parts(folder: Path) -> list[str]:
    """The parts whose images a folder holds, of ``train`` and ``test``."""
    names = set(_images_by_part(folder).values())
    return [part for part, known in _PARTS.items() if names & set(known)]


def lone_labels(folder: Path) -> tuple[str, str] | None:
    """A file of labels in a folder, and the name of the file of images that belongs to it."""
    for file in sorted(folder.iterdir()):
        if re.search(r"labels[-.]idx1-ubyte(\.gz)?$", file.name):
            return file.name, file.name.replace("labels", "images").replace("idx1", "idx3")
    return None


def _images_by_part(path: Path) -> dict[Path, str]:
    return {
        file: match.group(1)
        for folder in (path, path / "raw")
        if folder.is_dir()
        for file in sorted(folder.iterdir())
        if (match := _IMAGES.search(file.name))
    }


def open_idx(images: Path, labels: Path | None = None) -> RawImages:
    """Gray images, uint8 [H, W]. Raises ``DataError`` where a file contradicts its header."""
    pixels = _read(images, dimensions=3)
    if 0 in pixels.shape:
        raise DataError(f"{images}: holds no image (its header says {_by(pixels.shape)})")
    if labels is None:
        return from_arrays(len(pixels), pixels.__getitem__, place=str(images))
    values = _read(labels, dimensions=1)
    if len(values) != len(pixels):
        raise DataError(f"{labels}: {len(values)} labels for the {len(pixels)} images of {images}")
    return from_arrays(len(pixels), pixels.__getitem__, *encode_labels(values), place=str(images))


def _with_labels(images: Path) -> list[Path]:
    name = images.name.replace("images", "labels").replace("idx3", "idx1")
    plain = name.removesuffix(".gz")
    for candidate in (name, plain, f"{plain}.gz"):
        labels = images.with_name(candidate)
        if labels != images and labels.is_file():
            return [images, labels]
    return [images]


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    with reading(path), path.open("rb") as plain:
        is_gzipped = plain.read(2) == b"\x1f\x8b"
        plain.seek(0)
        file = gzip.GzipFile(fileobj=plain) if is_gzipped else plain
        magic = file.read(4)
        if magic != bytes([0, 0, _UNSIGNED_BYTES, dimensions]):
            what = "images" if dimensions == 3 else "labels"
            is_labels = dimensions == 3 and magic == bytes([0, 0, _UNSIGNED_BYTES, 1])
            step = "; it holds labels: name the file of images" if is_labels else ""
            raise DataError(
                f"{path}: no IDX file of {what}: it opens with {magic.hex() or 'nothing'}{step}"
            )
        shape = struct.unpack(f">{dimensions}I", file.read(4 * dimensions))
        size = math.prod(shape)
        largest = path.stat().st_size * (MAX_DEFLATE_RATIO if is_gzipped else 1)
        data = file.read(size + 1) if size <= largest else b""
        if len(data) != size:
            state = "truncated" if len(data) < size else "damaged: bytes left over"
            raise DataError(f"{path}: {state} (its header says {_by(shape)} bytes)")
        return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(str(length) for length in shape)
