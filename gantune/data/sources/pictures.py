"""Image files in a folder or a zip, at any depth."""

import io
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from gantune.data.image_set import Colour, RawImages, random_subset, reading
from gantune.data.sources.file_tree import (
    LABELS_FILE,
    SNIFFED,
    FileTree,
    LeftOut,
    arrange,
    scan_folder,
    scan_members,
)
from gantune.data.sources.zips import check_members
from gantune.errors import DataError, first_line

# Only these decoders: a file named .png may contain PostScript, for which Pillow starts another
# program.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
_GRAY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L")
_MAX_FILE = 512 << 20  # bytes, unpacked
_PROBES = 500  # images that are read to find size and colour

_Read = Callable[[int], Image.Image]


@dataclass(frozen=True)
class Pictures:
    """The image files of one part of a folder or a zip; not yet read."""

    place: Path
    tree: FileTree
    members: Mapping[str, str] = field(default_factory=dict)
    """Of a zip: its own names, by those of the tree."""

    def open(self) -> RawImages:
        """Their images. Raises ``DataError`` if none can be read."""
        names = self.tree.names
        if self.place.is_dir():
            return _raw(
                self.place,
                self.tree,
                lambda index: Image.open(self.place / names[index], formats=_FORMATS),
            )
        with reading(self.place):
            archive = zipfile.ZipFile(self.place)

        def read(index: int) -> Image.Image:
            info = archive.getinfo(self.members[names[index]])
            if info.file_size > _MAX_FILE:
                raise ValueError(f"unpacks to {info.file_size} bytes")
            return Image.open(io.BytesIO(archive.read(info)), formats=_FORMATS)

        return _raw(self.place, self.tree, read, archive.close)


@dataclass(frozen=True)
class Listing:
    """The image files of all parts of a folder or a zip."""

    place: Path
    names: tuple[str, ...]
    left_out: LeftOut
    labels_file: bytes | None
    files: tuple[Path, ...]
    """All files that tell whether anything changed."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Of a zip: its own names, by those here."""

    def part(self, split: str) -> Pictures:
        """The images of one part. Raises ``DataError``."""
        left_out = deepcopy(self.left_out)
        tree = arrange(self.names, left_out, self.labels_file, split, self.place)
        return Pictures(self.place, tree, self.members)


def list_folder(folder: Path) -> Listing:
    """The image files below ``folder``. Raises ``DataError``."""
    names, left_out = scan_folder(folder)
    labels_file = folder / LABELS_FILE
    labels, files = None, [folder / name for name in names]
    if names and labels_file.is_file():
        labels = _read_limited(labels_file)
        files.append(labels_file)
    return Listing(folder, tuple(names), left_out, labels, tuple(files))


def list_zip(path: Path) -> Listing:
    """The image files of a zip, as of a folder. Raises ``DataError``."""
    with reading(path), zipfile.ZipFile(path) as archive:
        infos: dict[str, zipfile.ZipInfo] = {}
        for info in archive.infolist():
            name = info.filename.replace("\\", "/")  # as some programs of Windows write it
            if not name.endswith("/"):
                infos["/".join(p for p in name.split("/") if p not in ("", "."))] = info
        links = {name for name, info in infos.items() if stat.S_ISLNK(info.external_attr >> 16)}

        def start(name: str) -> bytes:
            try:
                with archive.open(infos[name]) as file:
                    return file.read(SNIFFED)
            except Exception:  # a damaged file that no name calls an image
                return b""

        names, left_out = scan_members([name for name in infos if name not in links], start)
        for name in sorted(links):
            left_out.add("a link", name)
        used = [*names, LABELS_FILE] if names and LABELS_FILE in infos else names or [*infos]
        remedy = f"unpack it (unzip {path.name} -d FOLDER) and name the folder"
        check_members(archive, [infos[name] for name in used], path, remedy)
        labels = None
        if LABELS_FILE in infos:
            if infos[LABELS_FILE].file_size > _MAX_FILE:
                raise DataError(f"{path}: its {LABELS_FILE} unpacks to over {_MAX_FILE} bytes")
            labels = archive.read(infos[LABELS_FILE])
    if not names:
        held = ", ".join(list(infos)[:5]) or "nothing"
        raise DataError(f"{path}: no image in it; it holds {held}")
    members = {name: infos[name].filename for name in names}
    return Listing(path, tuple(names), left_out, labels, (path,), members)


def _read_limited(path: Path) -> bytes:
    with reading(path), path.open("rb") as file:
        content = file.read(_MAX_FILE + 1)
    if len(content) > _MAX_FILE:
        raise DataError(f"{path}: larger than {_MAX_FILE} bytes; remove it")
    return content


def _raw(
    place: Path, tree: FileTree, read: _Read, close: Callable[[], object] = lambda: None
) -> RawImages:
    native, colour, brightest = _probe(place, tree.names, read)
    levels = 65_535
    if 0 <= brightest <= _levels(14):
        levels = _levels(_bits(max(_brightest(len(tree.names), read), brightest)))
    notes = []
    if levels < 65_535:
        notes.append(
            f"16-bit values use {levels.bit_length()} bits: scaled so that {levels} is white"
        )
    return RawImages(
        count=len(tree.names),
        read=read,
        name=lambda index: f"{place}: {tree.names[index]}",
        native=native,
        colour=colour,
        labels=tree.labels,
        classes=tree.classes,
        encoded=True,
        levels=levels,
        notes=tuple(notes),
        close=close,
    )


def _levels(bits: int) -> int:
    return (1 << bits) - 1


def _bits(brightest: int) -> int:
    """Bits of a camera or converter whose largest value is ``brightest``."""
    return next(bits for bits in (8, 10, 12, 14, 16) if brightest <= _levels(bits))


def _brightest(count: int, read: _Read) -> int:
    """The largest value in images of 16 bits; of the others -1."""

    def of(index: int) -> int:
        try:
            with read(index) as image:
                return _largest(image)
        except Exception:  # reported when all are decoded
            return -1

    with ThreadPoolExecutor(min(16, os.cpu_count() or 1)) as pool:
        return max(pool.map(of, range(count)), default=-1)


def _largest(image: Image.Image) -> int:
    return int(np.asarray(image).max()) if image.mode.startswith("I;16") else -1


def _is_gray(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.getpalette() or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GRAY_MODES


def _probe(place: Path, names: Sequence[str], read: _Read) -> tuple[tuple[int, int], Colour, int]:
    """By a sample of the images: the most frequent size, whether any has colour, and the largest
    value in images of 16 bits (-1: there are none)."""
    sizes: Counter[tuple[int, int]] = Counter()
    colour: Colour = "gray"
    brightest, why = -1, ""
    for index in random_subset(len(names), min(_PROBES, len(names))):
        try:
            with reading(place), read(int(index)) as image:
                sizes[image.height, image.width] += 1
                if not _is_gray(image):
                    colour = "rgb"
                if brightest <= _levels(14):
                    brightest = max(brightest, _largest(image))
        except DataError as error:  # reported when all are decoded
            why = why or f"{names[index]} ({first_line(error).removeprefix(f'{place}: ')})"
    if not sizes:
        raise DataError(f"{place}: none of its images can be read, such as {why}")
    return sizes.most_common(1)[0][0], colour, brightest
