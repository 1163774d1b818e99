"""Image files in a folder or a zip, at any depth."""

import io
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantune.data.image_set import Colour, RawImages, encode_labels, random_subset, reading
from gantune.errors import DataError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff")
"""Suffixes of image files, in any case; of an animation the first frame is used."""

# Only these decoders: a file named .png may contain PostScript, for which Pillow starts another
# program.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_GRAY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L")
_MAX_FILE = 512 << 20  # bytes, unpacked
_PROBES = 500  # images that are read to find size and colour

_Read = Callable[[int], Image.Image]


def picture_files(folder: Path) -> list[Path]:
    """All image files below ``folder``, in order of their names, without hidden ones."""
    found = (file for file in folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    return sorted(f for f in found if _is_visible(f.relative_to(folder)) and f.is_file())


def open_picture_folder(folder: Path, files: Sequence[Path]) -> RawImages:
    """The image files of a folder; the first level of folders that differs gives the class.

    Without such a level, or with images beside its folders, there are no labels. Raises
    ``DataError`` if no image can be read.
    """
    names = [file.relative_to(folder).as_posix() for file in files]
    return _raw(folder, names, lambda index: Image.open(files[index], formats=_FORMATS))


def open_picture_zip(path: Path) -> RawImages:
    """The image files of a zip, as of a folder. Raises ``DataError``."""
    with reading(path):
        archive = zipfile.ZipFile(path)
    members = [info for info in archive.infolist() if not info.filename.endswith("/")]
    inside = [i for i in members if PurePosixPath(i.filename).suffix.lower() in SUFFIXES]
    infos = sorted(
        (i for i in inside if _is_visible(PurePosixPath(i.filename))), key=lambda i: i.filename
    )
    if not infos:
        held = ", ".join(info.filename for info in members[:5]) or "nothing"
        archive.close()
        raise DataError(f"{path}: no image in it; it holds {held}")

    def read(index: int) -> Image.Image:
        if infos[index].file_size > _MAX_FILE:
            raise ValueError(f"unpacks to {infos[index].file_size} bytes")
        return Image.open(io.BytesIO(archive.read(infos[index])), formats=_FORMATS)

    return _raw(path, [info.filename for info in infos], read, archive.close)


def _is_visible(path: Path | PurePosixPath) -> bool:
    return not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _raw(
    place: Path, names: Sequence[str], read: _Read, close: Callable[[], object] = lambda: None
) -> RawImages:
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    folders = [PurePosixPath(name).parts[:-1] for name in names]
    for level in range(min(len(parts) for parts in folders)):
        found = np.array([parts[level] for parts in folders])
        if len(set(found)) > 1:
            labels, classes = encode_labels(found)
            break
    native, colour = _probe(place, names, read)
    return RawImages(
        count=len(names),
        read=read,
        name=lambda index: f"{place}: {names[index]}",
        native=native,
        colour=colour,
        labels=labels,
        classes=classes,
        encoded=True,
        close=close,
    )


def _is_gray(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.getpalette() or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GRAY_MODES


def _probe(place: Path, names: Sequence[str], read: _Read) -> tuple[tuple[int, int], Colour]:
    """The most frequent size, and whether any image has colour, by a sample of the images."""
    sizes: Counter[tuple[int, int]] = Counter()
    colour: Colour = "gray"
    for index in random_subset(len(names), min(_PROBES, len(names))):
        try:
            with reading(place), read(int(index)) as image:
                sizes[image.height, image.width] += 1
                if not _is_gray(image):
                    colour = "rgb"
        except DataError:
            continue  # reported when all are decoded
    if not sizes:
        raise DataError(f"{place}: none of its images can be read, such as {names[0]}")
    return sizes.most_common(1)[0][0], colour
