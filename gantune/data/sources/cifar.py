"""CIFAR-10 as distributed: pickled or binary batches, in a folder or a tar file.

Krizhevsky 2009. Each image is 3,072 bytes: 1,024 each of red, green and blue.
"""

import tarfile
from collections.abc import Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantune.data.image_set import RawImages, from_arrays, reading
from gantune.data.sources.pickles import as_bytes_array, read_pickle
from gantune.errors import DataError

_SIDE = 32
_PIXELS = 3 * _SIDE * _SIDE
_CLASSES = (
    *("airplane", "automobile", "bird", "cat", "deer"),
    *("dog", "frog", "horse", "ship", "truck"),
)
_MAX_BATCH = 256 << 20  # bytes; a real one has 31 million
_BATCHES = {"train": tuple(f"data_batch_{i}" for i in range(1, 6)), "test": ("test_batch",)}
_FOLDERS = (".", "cifar-10-batches-py", "cifar-10-batches-bin")

_Batch = tuple[NDArray[np.uint8], NDArray[np.int64]]


def cifar_files(folder: Path, split: str) -> list[Path]:
    """The batches of a part, in the folder or in that of the unpacked archive.

    Empty where there are none; raises ``DataError`` where some of them are missing.
    """
    for inner in _FOLDERS:
        held = {file.name: file for file in sorted((folder / inner).glob("*_batch*"))}
        if names := _batch_names(held, split, folder / inner):
            return [held[name] for name in names]
    return []


def open_cifar(files: list[Path]) -> RawImages:
    """Images of 32x32 in colour from batch files; no pickle is executed. Raises ``DataError``."""
    batches = []
    for file in files:
        with reading(file), file.open("rb") as opened:
            batches.append(_parse_batch(file, file.name, opened.read(_MAX_BATCH + 1)))
    return _join(batches)


def open_cifar_tar(path: Path, split: str) -> RawImages:
    """Images of 32x32 in colour from the original archive, not unpacked. Raises ``DataError``."""
    with reading(path), tarfile.open(path) as archive:
        members = {PurePosixPath(m.name).name: m for m in archive.getmembers() if m.isfile()}
        names = _batch_names(members, split, path)
        if not names:
            raise DataError(
                f"{path}: no CIFAR-10 batches in it; other tar files are not read: unpack it (tar "
                f"-xf {path.name} -C FOLDER) and name the folder"
            )
        batches = []
        for name in names:
            file = archive.extractfile(members[name])
            data = file.read(_MAX_BATCH + 1) if file else b""
            batches.append(_parse_batch(path, name, data))
        return _join(batches)


def _batch_names(held: Mapping[str, Any], split: str, place: Path) -> list[str]:
    """The part's names in ``held``, pickled or binary; empty where there is no CIFAR-10 batch."""
    for suffix in ("", ".bin"):
        wanted = [name + suffix for name in _BATCHES.get(split, ())]
        every = [name + suffix for names in _BATCHES.values() for name in names]
        if any(name in held for name in every):
            if not wanted:
                raise DataError(f"data.split: {str(place)!r} has no {split!r} part")
            if missing := [name for name in wanted if name not in held]:
                raise DataError(f"{place}: CIFAR-10 without {', '.join(missing)}")
            return wanted
    return []


def _parse_batch(place: Path, name: str, data: bytes) -> _Batch:
    if len(data) > _MAX_BATCH:
        raise DataError(f"{place}: {name} is too large for a batch of CIFAR-10")
    if name.endswith(".bin"):
        if len(data) % (_PIXELS + 1):
            raise ValueError(f"{len(data)} bytes are not a multiple of {_PIXELS + 1}, a record")
        records = np.frombuffer(data, dtype=np.uint8).reshape(-1, _PIXELS + 1)
        pixels, labels = records[:, 1:], records[:, 0].astype(np.int64)
    else:
        pixels, labels = _pickled(data, f"{place}: {name}")
    if not len(pixels) or len(labels) != len(pixels):
        raise ValueError(f"{name}: {len(labels)} labels for {len(pixels)} images")
    if labels.min() < 0 or labels.max() >= len(_CLASSES):
        raise ValueError(f"{name}: a label that is none of CIFAR-10's ten")
    return pixels, labels


def _pickled(data: bytes, place: str) -> _Batch:
    batch = read_pickle(data, place)
    if not isinstance(batch, dict):
        raise ValueError("no batch of CIFAR-10")
    named = {k.decode("latin1") if isinstance(k, bytes) else k: v for k, v in batch.items()}
    pixels = as_bytes_array(named["data"])
    labels = named["labels"]
    if pixels.ndim != 2 or pixels.shape[1] != _PIXELS:
        raise ValueError(f"images of shape {pixels.shape}, not N x {_PIXELS}")
    if not isinstance(labels, list) or not all(type(label) is int for label in labels):
        raise ValueError("labels that are no list of whole numbers")
    return pixels, np.array(labels, dtype=np.int64)


def _join(batches: list[_Batch]) -> RawImages:
    pixels = np.concatenate([pixels for pixels, _ in batches]).reshape(-1, 3, _SIDE, _SIDE)
    labels = np.concatenate([labels for _, labels in batches])
    return from_arrays(len(pixels), lambda i: pixels[i].transpose(1, 2, 0), labels, _CLASSES)
