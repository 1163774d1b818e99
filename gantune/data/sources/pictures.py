"""Image files in a folder or a zip, at any depth."""

import io
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from PIL import Image

from gantune.config import Folders
from gantune.data.image_set import Colour, RawImages, random_subset, reading
from gantune.data.sources.depth import PROBES, Depth, find_depth, has_deep_colours, is_deep
from gantune.data.sources.file_kinds import SUFFIXES, hint_of_members
from gantune.data.sources.file_scan import (
    LeftOut,
    is_left_out,
    scan_folder,
    scan_members,
)
from gantune.data.sources.file_tree import FileTree, arrange
from gantune.data.sources.labels_beside import label_documents
from gantune.data.sources.stylegan_labels import LABELS_FILE
from gantune.data.sources.zips import check_members, decoded_names
from gantune.errors import DataError, first_line

# Only these decoders: a file named .png may contain PostScript, for which Pillow starts another
# program.
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM", "AVIF", "JPEG2000")
_GRAY_MODES = ("1", "L", "LA", "La", "F", "I", "I;16", "I;16B", "I;16L")
_HEADER = 4096  # bytes that tell an image, or the columns of a table
_MAX_FILE = 512 << 20  # bytes, unpacked

_Read = Callable[[str], Image.Image]


@dataclass(frozen=True)
class Pictures:
    """The image files of one part of a folder or a zip; not yet read."""

    place: Path
    tree: FileTree
    names: tuple[str, ...]
    """The image files of all parts, whose 16-bit values are scaled alike."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Of a zip: its own names, by those of the tree."""

    def open(self) -> RawImages:
        """Their images. Raises ``DataError`` if none can be read."""
        if self.place.is_dir():
            return _raw(self, lambda name: Image.open(self.place / name, formats=_FORMATS))
        with reading(self.place):
            archive = zipfile.ZipFile(self.place)

        def read(name: str) -> Image.Image:
            info = archive.getinfo(self.members[name])
            if info.file_size > _MAX_FILE:
                raise ValueError(f"unpacks to {info.file_size} bytes")
            return Image.open(io.BytesIO(archive.read(info)), formats=_FORMATS)

        return _raw(self, read, archive.close)


@dataclass(frozen=True)
class Listing:
    """The image files of all parts of a folder or a zip."""

    place: Path
    names: tuple[str, ...]
    empty: tuple[str, ...]
    """Folders with nothing in them."""
    left_out: LeftOut
    labels_file: bytes | None
    files: tuple[Path, ...]
    """All files that tell whether anything changed."""
    members: Mapping[str, str] = field(default_factory=dict)
    """Of a zip: its own names, by those here."""
    folders: Folders = "auto"
    """What folders mean."""

    def part(self, split: str) -> Pictures:
        """The images of one part. Raises ``DataError``."""
        left_out = deepcopy(self.left_out)
        tree = arrange(
            self.names, self.empty, left_out, self.labels_file, split, self.place, self.folders
        )
        return Pictures(self.place, tree, self.names, self.members)


def list_folder(folder: Path, folders: Folders = "auto") -> Listing:
    """The image files below ``folder``. Raises ``DataError``.

    ``folders``: what folders mean.
    """
    names, empty, left_out = scan_folder(folder, are_left_out=folders != "classes")
    labels_file = folder / LABELS_FILE
    labels, files = None, [folder / name for name in names]
    if names and labels_file.is_file():
        labels = _read_limited(labels_file)
        files.append(labels_file)

    def start(name: str) -> bytes:
        try:
            with (folder / name).open("rb") as file:
                return file.read(_HEADER)
        except OSError:
            return b""

    left_out.documents = label_documents(left_out.documents, start)
    listed = tuple(files)
    return Listing(folder, tuple(names), tuple(empty), left_out, labels, listed, folders=folders)


def list_zip(path: Path, folders: Folders = "auto") -> Listing:
    """The image files of a zip, as of a folder. Raises ``DataError``."""
    with reading(path), zipfile.ZipFile(path) as archive:
        infos: dict[str, zipfile.ZipInfo] = {}
        held_folders: set[str] = set()
        decoded, doubt = decoded_names(archive.infolist())
        for info, name in zip(archive.infolist(), decoded, strict=True):
            name = name.replace("\\", "/")  # as some programs of Windows write it
            plain = "/".join(part for part in name.split("/") if part not in ("", "."))
            if name.endswith("/"):
                held_folders.add(plain)
            else:
                infos[plain] = info
        links = {name for name, info in infos.items() if stat.S_ISLNK(info.external_attr >> 16)}

        def start(name: str) -> bytes:
            try:
                with archive.open(infos[name]) as file:
                    return file.read(_HEADER)
            except Exception:  # a damaged file that no name calls an image
                return b""

        plain_files = [name for name in infos if name not in links]
        are_left_out = folders != "classes"
        names, left_out = scan_members(plain_files, start, are_left_out, sorted(held_folders))
        for name in sorted(links):
            left_out.add("a link", name)
        left_out.warnings += [doubt] if doubt else []
        used = [*names, LABELS_FILE] if names and LABELS_FILE in infos else names or [*infos]
        remedy = f"unpack it (unzip {path.name} -d FOLDER) and name the folder"
        check_members(archive, [infos[name] for name in used], path, remedy)
        labels = None
        if LABELS_FILE in infos:
            if infos[LABELS_FILE].file_size > _MAX_FILE:
                raise DataError(f"{path}: its {LABELS_FILE} unpacks to over {_MAX_FILE} bytes")
            labels = archive.read(infos[LABELS_FILE])
        left_out.documents = label_documents(left_out.documents, start)
    if not names:
        held = ", ".join(list(infos)[:5]) or "nothing"
        if hint := hint_of_members(path, list(infos)):
            raise DataError(f"{path}: no image in it; it holds {held}: {hint}")
        said = f"; {text}" if (text := left_out.text(besides="no image")) else ""
        raise DataError(
            f"{path}: no image in it; it holds {held}{said}. Images are {', '.join(SUFFIXES)}"
        )
    members = {name: infos[name].filename for name in names}
    filled = {str(parent) for name in infos for parent in PurePosixPath(name).parents}
    empty = tuple(name for name in sorted(held_folders - filled) if not is_left_out(name))
    return Listing(path, tuple(names), empty, left_out, labels, (path,), members, folders)


def _read_limited(path: Path) -> bytes:
    with reading(path), path.open("rb") as file:
        content = file.read(_MAX_FILE + 1)
    if len(content) > _MAX_FILE:
        raise DataError(f"{path}: larger than {_MAX_FILE} bytes; remove it")
    return content


def _raw(pictures: Pictures, read: _Read, close: Callable[[], object] = lambda: None) -> RawImages:
    place, tree = pictures.place, pictures.tree
    probe = _probe(place, tree.names, read)
    depth = find_depth(pictures.names, read) if probe.is_deep else Depth()
    return RawImages(
        count=len(tree.names),
        read=lambda index: read(tree.names[index]),
        name=tree.names.__getitem__,
        native=probe.native,
        colour=probe.colour,
        labels=tree.labels,
        classes=tree.classes,
        encoded=True,
        levels=depth.white,
        deep_colours=probe.has_deep_colours,
        notes=depth.notes,
        place=str(place),
        close=close,
    )


def _is_gray(image: Image.Image) -> bool:
    if image.mode in ("P", "PA"):
        palette = image.getpalette() or []
        return palette[0::3] == palette[1::3] == palette[2::3]
    return image.mode in _GRAY_MODES


class _Probe(NamedTuple):
    """What a sample of the images tells."""

    native: tuple[int, int]
    """The most frequent height and width."""
    colour: Colour
    is_deep: bool
    """Whether any is gray with over 8 bits."""
    has_deep_colours: bool


def _probe(place: Path, names: Sequence[str], read: _Read) -> _Probe:
    sizes: Counter[tuple[int, int]] = Counter()
    colour: Colour = "gray"
    any_deep, any_deep_colours, why = False, False, ""
    for index in random_subset(len(names), min(PROBES, len(names))):
        try:
            with reading(place), read(names[index]) as image:
                sizes[image.height, image.width] += 1
                if not _is_gray(image):
                    colour = "rgb"
                any_deep = any_deep or is_deep(image)
                any_deep_colours = any_deep_colours or has_deep_colours(image)
        except DataError as error:  # reported when all are decoded
            why = why or f"{names[index]} ({first_line(error).removeprefix(f'{place}: ')})"
    if not sizes:
        raise DataError(f"{place}: none of its images can be read, such as {why}")
    return _Probe(sizes.most_common(1)[0][0], colour, any_deep, any_deep_colours)
