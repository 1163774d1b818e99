"""Small files of every kind that the data tests read."""

from __future__ import annotations

import gzip
import pickle
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantune.config import DataConfig
from gantune.data import ImageSet, load_images


def load(source: Path | str, **settings: Any) -> ImageSet:
    return load_images(DataConfig(source=str(source), **settings))


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def idx_bytes(array: NDArray[np.uint8]) -> bytes:
    magic = bytes([0, 0, 8, array.ndim])
    return magic + struct.pack(f">{array.ndim}I", *array.shape) + array.tobytes()


def write_idx(
    folder: Path,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8] | None = None,
    *,
    part: str = "train",
    zipped: bool = False,
) -> Path:
    """Writes MNIST's files; gives the images' one."""
    folder.mkdir(parents=True, exist_ok=True)
    ending = ".gz" if zipped else ""
    squeeze = gzip.compress if zipped else bytes
    if labels is not None:
        (folder / f"{part}-labels-idx1-ubyte{ending}").write_bytes(squeeze(idx_bytes(labels)))
    path = folder / f"{part}-images-idx3-ubyte{ending}"
    path.write_bytes(squeeze(idx_bytes(images)))
    return path


def write_cifar(folder: Path, protocol: int = 2, *, binary: bool = False) -> NDArray[np.uint8]:
    """Writes all six batches, two images each; gives the images, [12, 3, 32, 32], test last."""
    folder.mkdir(parents=True, exist_ok=True)
    images = noise(12, 3072)
    for number in range(6):
        name = f"data_batch_{number + 1}" if number < 5 else "test_batch"
        rows, labels = images[2 * number : 2 * number + 2], [number, 9]
        if binary:
            data = b"".join(bytes([y]) + row.tobytes() for y, row in zip(labels, rows, strict=True))
            (folder / f"{name}.bin").write_bytes(data)
        else:
            batch = {b"data": rows, b"labels": labels, b"filenames": [b"a.png", b"b.png"]}
            (folder / name).write_bytes(pickle.dumps(batch, protocol=protocol))
    return images.reshape(12, 3, 32, 32)


def write_pictures(folder: Path, *names: str, size: tuple[int, int] = (8, 8)) -> None:
    """Writes gray pictures; each is filled with its number times ten."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", size, 10 * number).save(path, "PNG")
