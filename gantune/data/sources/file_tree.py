"""Which files below a folder or in a zip are images, and of which part and class they are."""

import json
import os
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantune.data.image_set import encode_labels
from gantune.errors import DataError

SUFFIXES = (
    *(".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm", ".avif", ".jp2"),
)
"""Suffixes of image files, in any case; of an animation the first frame is used."""

LABELS_FILE = "dataset.json"
"""StyleGAN's file of labels, at the top of the folder or zip."""

SNIFFED = 32
"""Bytes at the start of a file by which ``is_image`` tells it."""

# Files with these suffixes are no images; they are not opened to find out.
_OTHER_SUFFIXES = frozenset(
    (
        *(".txt", ".json", ".jsonl", ".csv", ".tsv", ".xml", ".md", ".yaml", ".yml", ".html"),
        *(".log", ".py", ".npy", ".npz", ".mat", ".pkl", ".pt", ".h5", ".db", ".ini", ".pdf"),
        *(".zip", ".tar", ".gz"),
    )
)
_SIGNATURES = re.compile(
    rb"\x89PNG\r\n\x1a\n|\xff\xd8\xff|GIF8[79]a|RIFF....WEBP|BM....\0\0\0\0|II\*\0|MM\0\*"
    rb"|P[1-6]\s+[#0-9]|....ftypavi[fs]|\0\0\0\x0cjP  ",
    re.DOTALL,
)
_PARTS = {
    **{"train": "train", "training": "train", "test": "test", "testing": "test"},
    **{"val": "val", "valid": "val", "validation": "val", "dev": "val"},
}
_IMAGES = frozenset(("images", "image", "imgs", "img", "jpegimages"))
_MASKS = frozenset(
    (
        *("masks", "mask", "labels", "label", "annotations", "annotation", "anns", "gt"),
        *("ground_truth", "groundtruth", "segmentation", "segmentations"),
        *("segmentationclass", "segmentationobject"),
    )
)
_SYSTEM = frozenset(("__macosx", "@eadir", "$recycle.bin", "#recycle", "lost+found", "__pycache__"))
_CHUNK = 1000  # images in a folder of FFHQ or StyleGAN


@dataclass
class LeftOut:
    """Files and folders that are not looked at: how many for each reason, and the first one."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def add(self, reason: str, name: str, count: int = 1) -> None:
        self.counts[reason] += count
        self.first.setdefault(reason, name)

    def text(self, besides: str = "") -> str:
        """``3 files not looked at (2 hidden: .a.png, ...; 1 no image: a.txt)``; empty if none.

        ``besides``: a reason that is not told.
        """
        counts = Counter({why: n for why, n in self.counts.items() if why != besides})
        if not counts:
            return ""
        parts = (
            f"{count:,} {reason}: {self.first[reason]}{', ...' if count > 1 else ''}"
            for reason, count in counts.most_common()
        )
        total = counts.total()
        return f"{total:,} {'file' if total == 1 else 'files'} not looked at ({'; '.join(parts)})"


@dataclass(frozen=True)
class FileTree:
    """The image files of a folder or zip by their names in it, in order."""

    names: tuple[str, ...]
    left_out: LeftOut
    parts: tuple[str, ...] = ("train",)
    """The parts that it has: ``train`` alone, unless folders name several."""
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    remark: str = ""
    """Why there are no labels where there might be some."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of it."""
        return tuple(text for text in (self.remark, self.left_out.text()) if text)


def is_image(start: bytes) -> bool:
    """Whether a file that begins with these bytes is an image that can be read."""
    return _SIGNATURES.match(start) is not None


def scan_folder(folder: Path) -> tuple[list[str], LeftOut]:
    """The names of all image files below ``folder``, and what else is there.

    Links to folders are followed, each folder once. Only files without a known suffix are opened.
    """
    names: list[str] = []
    left_out = LeftOut()
    root = os.path.realpath(folder)
    waiting, links, read = [("", root)], list[tuple[str, str]](), {root}
    while waiting or links:
        # Folders come before links, so that an image keeps its own name.
        prefix, place = waiting.pop() if waiting else links.pop(0)
        if prefix and (place in read or f"{root}/".startswith(f"{place}/")):
            left_out.add("a link to a folder that is read already", prefix.rstrip("/"))
            continue
        read.add(place)
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            if not prefix:
                raise
            left_out.add(f"unreadable folder ({error.strerror})", prefix.rstrip("/"))
            continue
        folders: list[os.DirEntry[str]] = []
        files: list[os.DirEntry[str]] = []
        for entry in entries:
            (folders if _is_folder(entry) else files).append(entry)
        beside = _beside([entry.name for entry in folders], has_files=bool(files))
        for entry in folders:
            name = prefix + entry.name
            if reason := _reason_of_name(entry.name) or beside.get(entry.name, ""):
                left_out.add(reason, name)
            elif entry.is_symlink():
                links.append((f"{name}/", os.path.realpath(entry.path)))
            else:
                waiting.append((f"{name}/", entry.path))
        for entry in files:
            name = prefix + entry.name
            if name == LABELS_FILE:  # read for its labels
                continue
            if reason := _reason_of_file(entry):
                left_out.add(reason, name)
            else:
                names.append(name)
    return sorted(names, key=lambda name: name.split("/")), left_out


def scan_members(
    members: Iterable[str], start: Callable[[str], bytes]
) -> tuple[list[str], LeftOut]:
    """The names of all image files among those of a zip; ``start`` gives a file's first bytes."""
    names: list[str] = []
    left_out = LeftOut()
    members = list(members)
    inner: defaultdict[str, set[str]] = defaultdict(set)
    with_files: set[str] = set()
    for name in members:
        parts = name.split("/")
        for depth in range(len(parts) - 1):
            inner["/".join(parts[:depth])].add(parts[depth])
        with_files.add("/".join(parts[:-1]))
    beside = {place: _beside(sorted(held), place in with_files) for place, held in inner.items()}

    def reason(name: str) -> str:
        parts = name.split("/")
        for depth, part in enumerate(parts):
            found = _reason_of_name(part)
            if not found and depth < len(parts) - 1:
                found = beside["/".join(parts[:depth])].get(part, "")
            if found:
                return found
        suffix = PurePosixPath(name).suffix.lower()
        is_known = suffix in SUFFIXES
        return "" if is_known or _sniffed(suffix, lambda: start(name)) else "no image"

    for name in members:
        if why := reason(name):
            if name != LABELS_FILE:
                left_out.add(why, name)
        else:
            names.append(name)
    return sorted(names), left_out


def arrange(
    names: Sequence[str], left_out: LeftOut, labels_file: bytes | None, split: str, place: Path
) -> FileTree:
    """The images of one part with their classes; ``labels_file``: StyleGAN's ``dataset.json``.

    Raises ``DataError`` where folders are parts and ``split`` is none of them, and for labels that
    cannot be used.
    """
    tree = _part(tuple(names), left_out, split, place)
    if labels_file is not None:
        found = _read_labels(labels_file, place)
        if found is not None:
            return _labelled(tree, found, place)
        left_out.add("no image", LABELS_FILE)
    folders = [name.split("/")[:-1] for name in tree.names]
    depth = min((len(parts) for parts in folders), default=0)
    for level in range(depth):
        found_names = [parts[level] for parts in folders]
        if len(set(found_names)) == 1:
            continue
        if _are_chunks(found_names, tree.names):
            return replace(tree, remark="as its numbered folders are parts of one set")
        labels, classes = encode_labels(np.array(found_names))
        return replace(tree, labels=labels, classes=classes)
    if any(len(parts) > depth for parts in folders):
        return replace(tree, remark="as images lie beside its folders")
    return tree


def _part(names: tuple[str, ...], left_out: LeftOut, split: str, place: Path) -> FileTree:
    """The files of ``split`` where folders name parts: the first ones that differ, or those in
    every class."""
    parts = [name.split("/") for name in names]
    below_classes = False
    for level in range(max((len(each) for each in parts), default=1) - 1):
        held = {each[level] for each in parts if len(each) > level + 1}
        loose = any(len(each) == level + 1 for each in parts)
        known = {_PARTS.get(name.lower(), "") for name in held}
        if len(known) > 1 and "" not in known and not (below_classes and loose):
            break
        if loose:
            return FileTree(names, left_out)
        below_classes = below_classes or len(held) > 1
    else:
        return FileTree(names, left_out)
    if split not in known:
        there = ", ".join(sorted(held))
        raise DataError(
            f"data.split: {str(place)!r} has no {split!r} part; its folders are {there}"
        )
    chosen = []
    for name, each in zip(names, parts, strict=True):
        part = _PARTS[each[level].lower()] if len(each) > level + 1 else None
        if part == split:
            chosen.append(name)
        else:
            left_out.add(f"of the {part} part" if part else "beside the parts", name)
    return FileTree(tuple(chosen), left_out, tuple(sorted(known)))


def _read_labels(content: bytes, place: Path) -> list[Any] | None:
    """The labels of ``dataset.json``, empty for none; ``None`` where it is another tool's file."""
    try:
        tree = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise DataError(
            f"{place}: its {LABELS_FILE} is no JSON: {error}; repair or remove it"
        ) from (None)
    if not isinstance(tree, dict) or "labels" not in tree:
        return None
    labels = tree["labels"]
    if labels is None:
        return []
    if not isinstance(labels, list):
        raise DataError(f"{place}: 'labels' in its {LABELS_FILE} is neither a list nor null")
    return labels


def _labelled(tree: FileTree, entries: list[Any], place: Path) -> FileTree:
    """The tree with the labels of ``dataset.json``: pairs of a name and a whole number."""
    if not entries:
        return replace(tree, remark=f"{LABELS_FILE} gives no labels")
    given: dict[str, int] = {}
    for entry in entries:
        match entry:
            case [str(name), int(label)] if not isinstance(label, bool):
                given[name.replace("\\", "/")] = label
            case _:
                raise DataError(
                    f"{place}: {LABELS_FILE} holds {str(entry)[:80]!r}, where a pair of a file's "
                    "name and a whole number belongs"
                )
    missing = [name for name in tree.names if name not in given]
    if missing:
        raise DataError(
            f"{place}: {LABELS_FILE} has no label for {len(missing):,} of {len(tree.names):,} "
            f"images, such as {missing[0]}; add them, or set its labels to null"
        )
    labels, classes = encode_labels(np.array([given[name] for name in tree.names]))
    return replace(tree, labels=labels, classes=classes)


def _are_chunks(folders: Sequence[str], names: Sequence[str]) -> bool:
    """Whether folders are those into which FFHQ (01000/) and StyleGAN (00001/) put 1,000 images."""
    distinct = set(folders)
    if not all(re.fullmatch(r"[0-9]{5,12}", name) for name in distinct):
        return False
    if all(int(name) % _CHUNK == 0 for name in distinct):
        return True
    for folder, name in zip(folders, names, strict=True):
        digits = re.search(r"([0-9]{1,18})$", PurePosixPath(name).stem)
        if digits is None or int(digits[1]) // _CHUNK != int(folder):
            return False
    return True


def _beside(folders: Sequence[str], has_files: bool) -> dict[str, str]:
    """Folders that are no images of their own beside others: masks and thumbnails."""
    named = {name: name.lower() for name in folders if not _reason_of_name(name)}
    reasons = {}
    if any(name in _IMAGES for name in named.values()):
        reasons = {name: "folder beside images/" for name, low in named.items() if low in _MASKS}
    small = [name for name, low in named.items() if low.startswith(("thumbnail", "thumbs"))]
    if has_files or len(small) < len(named):
        reasons |= dict.fromkeys(small, "folder of thumbnails")
    return reasons


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or nowhere one may look
        return False


def _reason_of_name(name: str) -> str:
    if name.lower() in _SYSTEM:
        return "of the system"
    return "hidden" if name.startswith(".") else ""


def _reason_of_file(entry: os.DirEntry[str]) -> str:
    """Why a file is not looked at; empty for an image."""
    if reason := _reason_of_name(entry.name):
        return reason
    try:
        if not entry.is_file():
            return "broken link" if entry.is_symlink() else "no file"
    except OSError:
        return "broken link"
    suffix = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - faster than a Path
    if suffix in SUFFIXES:
        return ""

    def start() -> bytes:
        with open(entry.path, "rb") as file:  # noqa: PTH123
            return file.read(SNIFFED)

    try:
        return "" if _sniffed(suffix, start) else "no image"
    except OSError as error:
        return f"unreadable ({error.strerror})"


def _sniffed(suffix: str, start: Callable[[], bytes]) -> bool:
    return suffix not in _OTHER_SUFFIXES and is_image(start())
