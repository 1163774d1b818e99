"""Copies of the folder into which a trainer of the user's own writes its checkpoints.

Beside each copy stays the one before it, for the case that the disk damages the newer one.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gantune.io.files import link_or_copy

_log = logging.getLogger(__name__)


_NOTE = ".gantune.json"
"""Written into each copy last of all: one without it is not whole."""


_FILES = "files"
"""In the note: size and SHA-256 of each file by its path in the copy."""


def keep_copy(folder: Path, copy: Path, note: Mapping[str, Any], *, linked: bool = False) -> None:
    """Makes ``copy`` hold what ``folder`` holds, whole or not at all, with a note for gantune.

    ``linked``: the files are shared, as nobody writes to either side. Raises ``OSError``.
    """
    new, former = _beside(copy, "new"), _beside(copy, "old")
    shutil.rmtree(new, ignore_errors=True)
    how: Callable[[str, str], object] = link_or_copy if linked else shutil.copy2
    if folder.exists():
        shutil.copytree(folder, new, symlinks=True, copy_function=how)
    new.mkdir(exist_ok=True)
    (new / _NOTE).unlink(missing_ok=True)  # of a linked copy, which keeps its own
    content = {**note, _FILES: _manifest(new)}
    (new / _NOTE).write_text(json.dumps(content), encoding="utf-8")
    if copy.exists():
        shutil.rmtree(former, ignore_errors=True)
        copy.rename(former)  # killed here, ``read_copy`` finds the former one
    new.rename(copy)


def read_copy(copy: Path) -> dict[str, Any] | None:
    """The note of a whole copy; ``None`` where there is none.

    A damaged one is told by a warning, and the one before it takes its place.
    """
    former = _beside(copy, "old")
    note = _note_of(copy)
    if note is None and (note := _note_of(former)) is not None:
        shutil.rmtree(copy, ignore_errors=True)
        former.rename(copy)
    return None if note is None else _without_files(note)


def holds_files(copy: Path) -> bool:
    """Whether there is a copy of anything that the trainer wrote, whole or damaged."""
    there = [path for path in (copy, _beside(copy, "old")) if (path / _NOTE).exists()]
    return any(path.name != _NOTE for place in there for path in place.iterdir())


def restore(copy: Path, folder: Path) -> None:
    """Makes ``folder`` hold what a whole copy holds."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(copy, folder, symlinks=True, ignore=shutil.ignore_patterns(_NOTE))


def restore_best(last: Path, best: Path, kimg: float) -> bool:
    """Makes ``best`` hold what was saved at ``kimg``, from whichever whole copy of the two has it;
    whether any has."""
    for place in (best, _beside(best, "old"), last, _beside(last, "old")):
        note = _note_of(place)
        if note is None or note["kimg"] != kimg:
            continue
        if place != best:
            keep_copy(place, best, _without_files(note), linked=True)
        return True
    return False


def begin_empty(folder: Path) -> None:
    """Makes an empty folder of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def drop_copy(copy: Path) -> None:
    """Removes a copy, the one before it, and what a kill left of one."""
    shutil.rmtree(copy, ignore_errors=True)
    remove_backups(copy)


def remove_backups(copy: Path) -> None:
    """Removes what is kept only in case that a copy is damaged, or was left of one by a kill."""
    for what in ("new", "old"):
        shutil.rmtree(_beside(copy, what), ignore_errors=True)


def _note_of(path: Path) -> dict[str, Any] | None:
    """A copy's note, should its files be those of which it speaks."""
    try:
        note: dict[str, Any] = json.loads((path / _NOTE).read_text(encoding="utf-8"))
        changed = [
            name for name, was in note[_FILES].items() if _identity(path / name, was[0]) != was
        ]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: damaged (%s); not used", path, error)
        return None
    if changed:
        _log.warning("%s: damaged: %s is not what was saved; not used", path, changed[0])
        return None
    return note


def _manifest(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of each file below a folder, without what a symbolic link leads to."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): _identity(path) for path in files}


def _identity(path: Path, size: int | None = None) -> list[Any] | None:
    """Of a file; ``None`` for one that is not there, or of another size where one is given."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno()).st_size
            if size is not None and found != size:
                return None
            return [found, hashlib.file_digest(file, "sha256").hexdigest()]
    except FileNotFoundError:
        return None


def _without_files(note: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in note.items() if key != _FILES}


def _beside(copy: Path, what: str) -> Path:
    return copy.with_name(f".{copy.name}.{what}")
