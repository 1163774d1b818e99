"""IDX files, the format of MNIST and similar sets (LeCun and Cortes), gzipped or not."""

import gzip
import math
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gantune.data.image_set import MAX_DEFLATE_RATIO, RawImages, encode_labels, from_arrays, reading
from gantune.errors import DataError
from gantune.io.formatting import first_names

_NAME = re.compile(
    r"(?P<set>.*?)(?P<part>train|t10k|test|val|valid|validation)[-_.]"
    r"(?P<what>images|labels)[-_.]idx[13][-_.]ubyte(?:\.gz)?",
    re.IGNORECASE,
)
_PARTS = {"t10k": "test", "valid": "val", "validation": "val"}
_UNSIGNED_BYTES = 0x08  # the third byte of the magic number; the fourth counts the dimensions


@dataclass(frozen=True)
class IdxSet:
    """A set of IDX files: for each part the file of images, and that of labels if there is one."""

    name: str
    parts: dict[str, list[Path]]


def find_idx_set(folder: Path, is_deep: bool = False) -> IdxSet | None:
    """The set in a folder by MNIST's file names; ``None`` where there is none.

    In the folder itself and its ``raw``, as torchvision has it; ``is_deep``: at any depth. Raises
    ``DataError`` where there are several sets.
    """
    inner = (
        (Path(place) for place, _, _ in os.walk(folder)) if is_deep else (folder, folder / "raw")
    )
    sets = _sets(file for place in inner for file in _files(place))
    found = [each for each in sets if each.parts]
    if len(found) > 1:
        places = {each.name.rpartition("/")[0] for each in found}
        names = [str(Path(each.name).relative_to(folder)).rstrip("-_.") for each in found]
        parts = found[0].parts
        example = parts.get("train", next(iter(parts.values())))[0]
        remedy = f"one of these folders, such as {Path(found[0].name)}"
        if len(places) < len(found):
            remedy = f"the file of images of one, such as {example}"
        raise DataError(
            f"{folder}: holds {len(found)} sets of IDX files ({first_names(names, 10)}); name "
            f"{remedy}"
        )
    return found[0] if found else None


def find_idx_file(file: Path) -> tuple[str, IdxSet]:
    """The part that a file of images is, and its set; of an unknown name a set of its own."""
    place = file.parent.parent if _NAME.fullmatch(file.parent.name) else file.parent
    for each in _sets(_files(place)):
        for part, files in each.parts.items():
            if files[0] == file:
                return part, each
    return "train", IdxSet(str(file), {"train": _with_labels(file)})


def lone_labels(folder: Path) -> tuple[str, str] | None:
    """A file of labels in a folder, and the name of the file of images that belongs to it."""
    for file in sorted(folder.iterdir()):
        if re.search(r"labels[-.]idx1-ubyte(\.gz)?$", file.name):
            return file.name, file.name.replace("labels", "images").replace("idx1", "idx3")
    return None


def _files(folder: Path) -> Iterator[Path]:
    """The IDX files in a folder, also in folders that are called like them, as Kaggle has them."""
    if folder.is_dir():
        for entry in sorted(folder.iterdir()):
            if _NAME.fullmatch(entry.name):
                yield from sorted(entry.iterdir()) if entry.is_dir() else [entry]


def _sets(files: Iterable[Path]) -> list[IdxSet]:
    """By folder and the start of their names. Of copies the plain one counts: it reads faster."""
    of_what: dict[str, dict[tuple[str, str], Path]] = {}
    for file in sorted(files, key=lambda file: (file.suffix == ".gz", str(file))):
        if (found := _NAME.fullmatch(file.name)) is None:
            continue
        place = file.parent.parent if _NAME.fullmatch(file.parent.name) else file.parent
        place = place.parent if place.name == "raw" else place
        part = found["part"].lower()
        known = of_what.setdefault(f"{place}/{found['set']}", {})
        known.setdefault((found["what"].lower(), _PARTS.get(part, part)), file)
    sets = []
    for name, known in of_what.items():
        parts = {
            part: [file, *([labels] if (labels := known.get(("labels", part))) else [])]
            for (what, part), file in known.items()
            if what == "images"
        }
        sets.append(IdxSet(name, parts))
    return sets


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
