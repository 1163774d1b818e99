"""Of which part and class the image files of a folder or a zip are."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import get_args

import numpy as np
from numpy.typing import NDArray

from gantune.config import Folders, Part
from gantune.data.image_set import encode_names
from gantune.data.sources.file_scan import LeftOut
from gantune.data.sources.folder_names import (
    are_alike,
    chunk_kind,
    find_only_part,
    find_parts,
    other_meaning,
)
from gantune.data.sources.labels_beside import unused_labels
from gantune.data.sources.pairs import pairs_text
from gantune.data.sources.stylegan_labels import (
    LABELS_FILE,
    labels_of_entries,
    read_stylegan_labels,
)
from gantune.errors import DataError
from gantune.io.formatting import first_names
from gantune.io.validation import comma_list

_NAMED = 3  # folders without an image, in one line
_FEW = 0.1  # share of the images that may lie in folders beside those that have parts

_Parts = Mapping[int, Mapping[str, tuple[str, str]]]
"""By the level of folders that are parts: part and domain of each."""


@dataclass(frozen=True)
class FileTree:
    """The image files of a folder or zip by their names in it, in order."""

    names: tuple[str, ...]
    left_out: LeftOut
    parts: tuple[str, ...] = ("train",)
    """The parts that it has: ``train`` alone, unless folders name several."""
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Number of images of each part, where there are several."""
    labels: NDArray[np.int64] | None = None
    classes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    """Why there are no labels where there might be some, and how folders were understood."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should know of it."""
        told = (*self.remarks, *self.left_out.warnings, self.left_out.text())
        return tuple(text for text in told if text)


def arrange(
    names: Sequence[str],
    empty: Sequence[str],
    left_out: LeftOut,
    labels_file: bytes | None,
    split: str,
    place: Path,
    folders: Folders = "auto",
) -> FileTree:
    """The images of one part with their classes.

    ``empty``: folders with nothing in them; ``labels_file``: StyleGAN's ``dataset.json``;
    ``folders``: what folders mean.

    Raises ``DataError`` where folders are parts and ``split`` is none of them, and for labels that
    cannot be used.
    """
    tree, parts_at, names = _part(tuple(names), left_out, split, place)
    if folders == "classes":
        tree = _by_folders(tree, names, empty, parts_at, split, place, folders)
        unused = f"{LABELS_FILE} is not read, as data.folders is classes"
        return tree if labels_file is None else _with_remark(tree, unused, is_first=False)
    tree = _with_remark(tree, pairs_text(tree.names, _first_step(place)), is_first=False)
    if labels_file is not None:
        entries = read_stylegan_labels(labels_file, place)
        if entries is not None:
            found = labels_of_entries(entries, tree.names, place)
            tree = replace(tree, labels=found.values, classes=found.classes)
            return replace(tree, remarks=(*found.notes, *tree.remarks))
        left_out.add("no image", LABELS_FILE)
    if folders == "none":
        return tree
    tree = _by_folders(tree, names, empty, parts_at, split, place, folders)
    if tree.labels is None:
        return _with_remark(tree, unused_labels(left_out.documents, tree.names), is_first=False)
    return tree


def _by_folders(
    tree: FileTree,
    names: Sequence[str],
    empty: Sequence[str],
    parts_at: _Parts,
    split: str,
    place: Path,
    folders: Folders,
) -> FileTree:
    """The same images with the classes that folders give. ``names``: those of all parts, which
    decide together what folders mean."""
    given, paths = tree, _folders(tree.names)
    every = list(zip(_folders(names), (name.rpartition("/")[2] for name in names), strict=True))
    depth = min((len(path) for path in paths), default=0)
    divided = ""  # which folders only divide the set
    top: int | None = None  # the first level of several folders that are no parts
    for level in range(depth):
        domains = {name: domain for name, (_, domain) in parts_at.get(level, {}).items()}
        found_names = [domains.get(path[level], path[level]) for path in paths]
        is_guessed = folders == "auto" and len(set(found_names)) > 1 and not domains
        deep = [(path, file) for path, file in every if len(path) > level] if is_guessed else []
        top = level if top is None and is_guessed else top
        if deep and (kind := chunk_kind(level, top or 0, *zip(*deep, strict=True))):
            examples = first_names(sorted(set(found_names)), _NAMED)
            divided = divided or f"its folders {examples} are {kind}"
            continue
        if level not in parts_at:
            tree = _with_empty(tree, _at_level(empty, level, parts_at, split) - set(found_names))
        if len(set(found_names)) == 1:
            continue
        if divided and not _recur(found_names, paths, level) and are_alike(found_names):
            break
        labels, classes = encode_names(found_names)
        tree = replace(tree, labels=labels, classes=classes)
        if domains:
            first = "/".join(paths[0][: level + 1])
            return _with_remark(
                tree,
                f"by the folders of the {split} part; for one class alone {_first_step(place)}name "
                f"its folder as the source, such as {_unpacked(place) / first}",
            )
        odd = next(((name, what) for name in classes if (what := other_meaning(name))), None)
        if odd and folders == "auto":
            remark = (
                f"warning: its folder {odd[0]} is taken for a class; if {odd[1]}, "
                f"{_first_step(place)}name the folder to learn as the source, or remove what is "
                "not learned"
            )
            tree = _with_remark(tree, remark)
        elif folders == "auto" and (same := _same_below(paths, level)):
            remark = (
                f"each of its folders holds {first_names(same, _NAMED)}: if these are the classes, "
                f"{_first_step(place)}name one of the folders as the source"
            )
            tree = _with_remark(tree, remark)
        return _with_remark(tree, divided) if divided else tree
    if divided:
        return _with_remark(tree, f"as {divided} (data.folders: classes if they are)")
    if any(len(path) > depth for path in paths):
        loose = [name for name, path in zip(tree.names, paths, strict=True) if len(path) == depth]
        if folders == "classes":
            for name in loose:
                tree.left_out.add("beside the classes", name)
            given = replace(given, names=_others(tree.names, loose))
            return _by_folders(given, names, empty, parts_at, split, place, folders)
        remark = f"as images lie beside its folders: {first_names(loose, _NAMED)}"
        return _with_remark(tree, f"{remark} (data.folders: classes leaves them out)")
    return tree


def _others(names: Sequence[str], left: Sequence[str]) -> tuple[str, ...]:
    without = set(left)
    return tuple(name for name in names if name not in without)


def _folders(names: Sequence[str]) -> list[list[str]]:
    """The folders above each file; files of one folder share the list."""
    known: dict[str, list[str]] = {}
    found = []
    for name in names:
        folder = name.rpartition("/")[0]
        if folder not in known:
            known[folder] = folder.split("/") if folder else []
        found.append(known[folder])
    return found


def _same_below(paths: Sequence[Sequence[str]], level: int) -> list[str]:
    """The folders below every folder at a level, if they are the same ones, and several."""
    below: dict[str, set[str]] = {}
    for path in paths:
        below.setdefault(path[level], set()).add(path[level + 1] if len(path) > level + 1 else "")
    first, *others = below.values()
    is_same = len(first) > 1 and "" not in first and all(each == first for each in others)
    return sorted(first) if is_same else []


def _first_step(place: Path) -> str:
    """What to do before a folder in ``place`` can be named: a zip is unpacked first."""
    return f"unpack it (unzip {place.name} -d FOLDER), then " if place.is_file() else ""


def _unpacked(place: Path) -> Path:
    return Path("FOLDER") if place.is_file() else place


def _recur(folders: Sequence[str], paths: Sequence[Sequence[str]], level: int) -> bool:
    """Whether most folders lie below more than one of those above."""
    above: dict[str, set[str]] = {}
    for folder, path in zip(folders, paths, strict=True):
        above.setdefault(folder, set()).add("/".join(path[:level]))
    return 2 * sum(len(each) > 1 for each in above.values()) >= len(above)


def _at_level(empty: Sequence[str], level: int, parts_at: _Parts, split: str) -> set[str]:
    """The names of empty folders at a level, in the part that is read."""
    found = set()
    for path in (folder.split("/") for folder in empty):
        known = ((path[at], parts) for at, parts in parts_at.items() if at < len(path))
        if len(path) > level and all(parts.get(n, ("", ""))[0] == split for n, parts in known):
            found.add(path[level])
    return found


def _with_empty(tree: FileTree, empty: set[str]) -> FileTree:
    if not empty:
        return tree
    first = first_names(sorted(empty), _NAMED)
    return _with_remark(
        tree, f"warning: no image in {first}, thus no class: add some, or remove the folder"
    )


def _with_remark(tree: FileTree, remark: str, is_first: bool = True) -> FileTree:
    """The same with a remark, which says why there are no classes if it is the first one."""
    remarks = (remark, *tree.remarks) if is_first else (*tree.remarks, remark)
    return replace(tree, remarks=remarks)


@dataclass(frozen=True)
class _Division:
    """Where folders name the parts of a set."""

    level: int
    folders: Mapping[str, tuple[str, str]]
    """By a folder with images: its part and domain."""
    names: Mapping[str, tuple[str, str]]
    """The same by the name of the folder at ``level``."""


@dataclass(frozen=True)
class _Whole:
    """A set that folders do not divide into parts."""

    only: str = ""
    """The only part that is there: ``val`` or ``test``."""
    warning: str = ""
    """A folder has parts, and too many images are elsewhere."""


def _part(
    names: tuple[str, ...], left_out: LeftOut, split: str, place: Path
) -> tuple[FileTree, _Parts, tuple[str, ...]]:
    """The files of ``split`` where folders name parts; the parts by the level of these folders; and
    the files of all parts."""
    above = [name.rpartition("/")[0] for name in names]
    held = Counter(above)
    found = _find_division(held)
    if isinstance(found, _Whole):
        return _whole(names, left_out, split, place, found), {}, names
    parts = [found.folders.get(folder, ("", ""))[0] for folder in above]
    sizes = Counter(part for part in parts if part)
    only = next(iter(sizes)) if len(sizes) == 1 else ""
    chosen = only if split == "train" and only in ("val", "test") else split
    if chosen not in sizes:
        raise _no_part(place, split, found.names)
    for name, part in zip(names, parts, strict=True):
        if not part:
            left_out.add("beside the parts", name)
    in_parts = tuple(name for name, part in zip(names, parts, strict=True) if part)
    learned = tuple(name for name, part in zip(names, parts, strict=True) if part == chosen)
    if chosen == split:
        tree = FileTree(learned, left_out, tuple(sorted(sizes)), dict(sizes))
    else:
        tree = FileTree(learned, left_out, (split,), remarks=(_ONLY.format(only),))
    return tree, {found.level: found.names}, in_parts


_ONLY = "only a {0} part is there: it is learned, as by data.split: {0}"


def _whole(
    names: tuple[str, ...], left_out: LeftOut, split: str, place: Path, found: _Whole
) -> FileTree:
    """All files of a set that folders do not divide."""
    if not found.only:
        return FileTree(names, left_out, remarks=(found.warning,) if found.warning else ())
    if split not in ("train", found.only):
        raise _no_part(place, split, {found.only: (found.only, "")})
    return FileTree(names, left_out, (split,), remarks=(_ONLY.format(found.only),))


def _find_division(held: Mapping[str, int]) -> _Division | _Whole:
    """The first level where folders name parts, in one folder or in nearly all beside it.

    ``held``: number of images by folder.
    """
    paths = {folder: tuple(folder.split("/")) if folder else () for folder in held}
    for level in range(max(map(len, paths.values()), default=0)):
        below: dict[tuple[str, ...], set[str]] = {}
        for path in paths.values():
            if len(path) > level:
                below.setdefault(path[:level], set()).add(path[level])
        known = {above: parts for above, each in below.items() if (parts := find_parts(each))}
        if not known:
            is_all = all(len(path) > level for path in paths.values())
            only = {find_only_part(each) for each in below.values()} if is_all else set()
            if len(only) == 1 and (only_part := only.pop()):
                return _Whole(only_part)
            continue
        first = next(iter(known))
        names = {name: part for each in known.values() for name, part in each.items()}
        # A class may lack a part that others have: its folder of training images is one too.
        known |= {above: names for above, each in below.items() if each <= set(names)}
        folders = {
            folder: part
            for folder, path in paths.items()
            if (part := known.get(path[:level], {}).get("".join(path[level : level + 1])))
        }
        strays = {
            folder: path
            for folder, path in paths.items()
            if path[:level] not in known or (len(known) > 1 and len(path) == level)
        }
        if where := _too_many(strays, held, level):
            return _Whole(
                warning=f"warning: {'/'.join(first)} has the parts "
                f"{comma_list(sorted(known[first]))}, but too many images are {where}: all images "
                "are learned, those of tests too; move them, or name one folder as the source"
            )
        return _Division(level, folders, names)
    return _Whole()


def _too_many(strays: Mapping[str, tuple[str, ...]], held: Mapping[str, int], level: int) -> str:
    """Where images lie that are in no part, if they are too many to leave out; else empty.

    ``strays``: their folders, with the steps to each; ``level``: that of the parts.
    """
    loose = sum(held[folder] for folder, path in strays.items() if len(path) < level)
    others = {folder: held[folder] for folder, path in strays.items() if len(path) >= level}
    total = sum(held.values())
    if sum(others.values()) <= _FEW * total and 2 * loose <= total:
        return ""
    return f"in folders without parts, such as {min(others)}" if others else "above it"


def _no_part(place: Path, split: str, folders: Mapping[str, tuple[str, str]]) -> DataError:
    """``folders``: those that are there, with the part and domain of each."""
    there, held = ", ".join(sorted(folders)), {part for part, _ in folders.values()}
    parts = [part for part in get_args(Part) if part in held]
    remedy = f"; to learn another one, set data.split to {' or '.join(parts)}" if parts else ""
    what = f"data.split: {str(place)!r} has no {split!r} part; its folders are {there}"
    return DataError(what + remedy)
