"""Which files below a folder or in a zip are images, and which are left out, and why."""

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from gantune.data.sources.file_kinds import ARCHIVES, CONVERT, DOCUMENTS, SNIFFED, reason_of_kind
from gantune.data.sources.folder_names import beside, reason_of_name, written_by_gantune
from gantune.data.sources.labels_beside import is_called_labels
from gantune.data.sources.pairs import doubts_text, find_companions
from gantune.data.sources.stylegan_labels import LABELS_FILE
from gantune.io.formatting import count as counted

_MOST_DOCUMENTS = 100  # of one suffix; a set may have one for each image
_TO_CONVERT = f"to {CONVERT}"
_OBSTACLES = ("to ", "unreadable", "broken link")
"""How reasons begin why an image that is there, or may be, cannot be read."""


@dataclass
class LeftOut:
    """Files and folders that are not looked at: how many for each reason, and the first one."""

    counts: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)
    documents: list[str] = field(default_factory=list)
    """Some tables and texts among them, which may hold labels: the first ones of each kind."""
    unread: list[str] = field(default_factory=list)
    """Images that must be converted first."""
    warnings: list[str] = field(default_factory=list)
    """What a user should know of the files that are looked at."""
    _documents: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str, name: str, count: int = 1) -> None:
        suffix = PurePosixPath(name).suffix.lower()
        if suffix in DOCUMENTS and self._documents[suffix] < _MOST_DOCUMENTS:
            self._documents[suffix] += 1
            self.documents.append(name)
        if reason == _TO_CONVERT:
            self.unread.append(name)
        self.counts[reason] += count
        self.first[reason] = min(self.first.get(reason, name), name, key=_place)

    def obstacles(self) -> str:
        """``2 to convert first: a.heic, ...``: why images cannot be read; empty if none is."""
        return self._reasons([why for why in self.counts if why.startswith(_OBSTACLES)])

    def _reasons(self, told: Collection[str]) -> str:
        return "; ".join(
            f"{count:,} {why}: {self.first[why]}{', ...' if count > 1 else ''}"
            for why, count in sorted(self.counts.items(), key=lambda each: (-each[1], each[0]))
            if why in told
        )

    def text(self, besides: str = "") -> str:
        """``3 files not looked at (2 hidden: .a.png, ...; 1 no image: a.txt)``; empty if none.

        ``besides``: a reason that is not told.
        """
        counts = {why: n for why, n in self.counts.items() if why != besides}
        if not counts:
            return ""
        return f"{counted(sum(counts.values()), 'file')} not looked at ({self._reasons(counts)})"


def scan_folder(folder: Path, are_left_out: bool = True) -> tuple[list[str], list[str], LeftOut]:
    """The names of all image files below ``folder``, of empty folders, and what is left out.

    Links to folders are followed, each folder once. Only files without a known suffix are opened.
    ``are_left_out``: whether masks and thumbnails are; they are images where nothing else is.
    """
    empty: dict[bool, list[str]] = {}

    def scan(are_left_out: bool) -> tuple[list[str], LeftOut]:
        names, empty[are_left_out], left_out = _scan_folder(folder, are_left_out)
        return names, left_out

    names, left_out = _learned(scan, are_left_out)
    return names, empty[min(empty)], left_out


def _learned(
    scan: Callable[[bool], tuple[list[str], LeftOut]], are_left_out: bool
) -> tuple[list[str], LeftOut]:
    """The images in order: without masks and thumbnails, unless nothing else is there.

    ``scan``: gives the images, with or without the folders of masks and thumbnails.
    """
    names, left_out = scan(are_left_out)
    names.sort(key=_place)
    if not are_left_out:
        return names, left_out
    names, doubtful = _without_companions(names, left_out)
    if names:
        left_out.warnings += [doubtful] if doubtful else []
        return names, left_out
    obstacles = left_out.obstacles()
    names, left_out = scan(False)
    names.sort(key=_place)
    if names and obstacles:
        left_out.warnings.append(
            f"warning: masks, thumbnails or the like are learned, such as {names[0]}, as the other "
            f"images cannot be read: {obstacles}"
        )
    return names, left_out


def _place(name: str) -> list[str]:
    """The key of the order of files in folders and zips: ``cat/1.png`` before ``cat-b/1.png``."""
    return name.split("/")


def _without_companions(names: Sequence[str], left_out: LeftOut) -> tuple[list[str], str]:
    """The images that belong to no other one, and a warning about those that may."""
    companions, doubtful = find_companions(names, left_out.unread)
    for name in sorted(companions):
        left_out.add("mask or version of an image beside it", name)
    return [name for name in names if name not in companions], doubts_text(doubtful)


def _scan_folder(folder: Path, are_left_out: bool) -> tuple[list[str], list[str], LeftOut]:
    """``are_left_out``: whether masks and thumbnails are."""
    names: list[str] = []
    empty: list[str] = []
    left_out = LeftOut()
    root = os.path.realpath(folder)
    waiting, links, read = [("", root)], list[tuple[str, str]](), {root}
    while waiting or links:
        # Folders come before links, so that an image keeps its own name.
        is_link = not waiting
        prefix, place = waiting.pop() if waiting else links.pop(0)
        if prefix and (place in read or f"{root}/".startswith(f"{place}/")):
            what = "a link to a folder" if is_link else "folder"  # a folder below another link
            left_out.add(f"{what} that is read already", prefix.rstrip("/"))
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
        if prefix and all(reason_of_name(entry.name) for entry in entries):
            empty.append(prefix.rstrip("/"))
        folders: list[os.DirEntry[str]] = []
        files: list[os.DirEntry[str]] = []
        for entry in entries:
            (folders if _is_folder(entry) else files).append(entry)
        reasons = _reasons([e.name for e in folders], [e.name for e in files], are_left_out)
        for entry in folders:
            name = prefix + entry.name
            if reason := reasons.get(entry.name):
                left_out.add(reason, name)
            elif entry.is_symlink():
                links.append((f"{name}/", os.path.realpath(entry.path)))
            else:
                waiting.append((f"{name}/", entry.path))
        for entry in files:
            name = prefix + entry.name
            if name == LABELS_FILE:  # read for its labels
                continue
            if reason := reasons.get(entry.name) or _reason_of_file(entry):
                left_out.add(reason, name)
            else:
                names.append(name)
    return names, empty, left_out


def scan_members(
    members: Iterable[str],
    start: Callable[[str], bytes],
    are_left_out: bool = True,
    held_folders: Collection[str] = (),
) -> tuple[list[str], LeftOut]:
    """The names of all image files among those of a zip, as of a folder.

    ``start``: gives a file's first bytes; ``held_folders``: folders that a zip names, which may be
    empty.
    """
    members = list(members)
    folders: defaultdict[str, set[str]] = defaultdict(set)
    files: defaultdict[str, list[str]] = defaultdict(list)
    for name in members:
        *above, file = name.split("/")
        files["/".join(above)].append(file)
    for name in (*members, *(f"{folder}/" for folder in held_folders if folder)):
        above = name.split("/")[:-1]
        for depth, folder in enumerate(above):
            folders["/".join(above[:depth])].add(folder)

    def scan(are_left_out: bool) -> tuple[list[str], LeftOut]:
        names: list[str] = []
        left_out = LeftOut()
        reasons = {
            place: _reasons(sorted(folders[place]), files[place], are_left_out)
            for place in {*folders, *files}
        }
        told: set[str] = set()  # folders, each of which counts as one

        def is_told(name: str) -> bool:
            """Whether it, or a folder above it, is left out by its name."""
            parts = name.split("/")
            for i, part in enumerate(parts):
                if why := reasons["/".join(parts[:i])].get(part):
                    place = "/".join(parts[: i + 1])
                    if place not in told:
                        told.add(place)
                        left_out.add(why, place)
                    return True
            return False

        for name in members:
            if is_told(name) or name == LABELS_FILE:
                continue
            if why := _reason_of_member(name, start):
                left_out.add(why, name)
            else:
                names.append(name)
        for folder in held_folders:
            if folder:
                is_told(folder)
        return names, left_out

    return _learned(scan, are_left_out)


def _reasons(folders: list[str], files: list[str], are_left_out: bool) -> dict[str, str]:
    """Why some of the folders and files that lie in one folder are not looked at, by their names.

    ``are_left_out``: whether masks and thumbnails are.
    """
    reasons: dict[str, str] = {}
    if are_left_out:
        reasons = beside(folders, has_files=bool(files))
    reasons |= {name: why for name in (*folders, *files) if (why := reason_of_name(name))}
    there = {*folders, *files}
    unpacked = [
        name for name in files if (bare := ARCHIVES.sub("", name)) != name and bare in there
    ]
    reasons |= dict.fromkeys(unpacked, "archive that is unpacked beside it")
    return reasons | dict.fromkeys(written_by_gantune([*folders, *files]), "written by gantune")


def _reason_of_member(name: str, start: Callable[[str], bytes]) -> str:
    return _reason_of_kind(name, PurePosixPath(name).suffix, lambda: start(name))


def _reason_of_kind(name: str, suffix: str, start: Callable[[], bytes]) -> str:
    """Labels in a file of a kind that may hold images are none that could be saved as such."""
    return "no image" if is_called_labels(name) else reason_of_kind(suffix.lower(), start)


def is_left_out(folder: str) -> bool:
    """Whether a folder of a zip is hidden or of the system, or lies in such a one."""
    return any(reason_of_name(part) for part in folder.split("/"))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link that leads to itself, or nowhere one may look
        return False


def _reason_of_file(entry: os.DirEntry[str]) -> str:
    """Why a file is not looked at; empty for an image."""
    try:
        if not entry.is_file():
            return "broken link" if entry.is_symlink() else "no file"
    except OSError:
        return "broken link"
    suffix = os.path.splitext(entry.name)[1]  # noqa: PTH122 - faster than a Path

    def start() -> bytes:
        with open(entry.path, "rb") as file:  # noqa: PTH123
            return file.read(SNIFFED)

    try:
        return _reason_of_kind(entry.name, suffix, start)
    except OSError as error:
        return f"unreadable ({error.strerror})"
