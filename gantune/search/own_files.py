"""Copies of the folder into which a trainer of the user's own writes its checkpoints."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

__all__ = ["begin_empty", "drop_copy", "holds_files", "keep_copy", "read_copy", "restore"]

_NOTE = ".gantune.json"
"""Written into each copy last of all: one without it is not whole."""


def keep_copy(folder: Path, copy: Path, note: Mapping[str, Any], *, linked: bool = False) -> None:
    """Makes ``copy`` hold what ``folder`` holds, whole or not at all, with a note for gantune.

    ``linked``: the files are shared, as nobody writes to either side. Raises ``OSError``.
    """
    new, old = _beside(copy, "new"), _beside(copy, "old")
    shutil.rmtree(new, ignore_errors=True)
    how: Callable[[str, str], object] = _link if linked else shutil.copy2
    if folder.exists():
        shutil.copytree(folder, new, symlinks=True, copy_function=how)
    new.mkdir(exist_ok=True)
    (new / _NOTE).unlink(missing_ok=True)  # of a linked copy, which keeps its own
    (new / _NOTE).write_text(json.dumps(note), encoding="utf-8")
    shutil.rmtree(old, ignore_errors=True)
    if copy.exists():
        copy.rename(old)  # killed here, ``read_copy`` finds the former one
    new.rename(copy)
    shutil.rmtree(old, ignore_errors=True)


def read_copy(copy: Path) -> dict[str, Any] | None:
    """The note of a whole copy; ``None`` where there is none."""
    found = _whole(copy)
    if found is None:
        return None
    note: dict[str, Any] = json.loads((found / _NOTE).read_text(encoding="utf-8"))
    return note


def holds_files(copy: Path) -> bool:
    """Whether a whole copy holds anything that the trainer wrote."""
    found = _whole(copy)
    return found is not None and any(path.name != _NOTE for path in found.iterdir())


def restore(copy: Path, folder: Path) -> None:
    """Makes ``folder`` hold what a whole copy holds."""
    found = _whole(copy)
    assert found is not None
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(found, folder, symlinks=True, ignore=shutil.ignore_patterns(_NOTE))


def begin_empty(folder: Path) -> None:
    """Makes an empty folder of it."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def drop_copy(copy: Path) -> None:
    """Removes a copy, and what a kill left of one."""
    for path in (copy, _beside(copy, "new"), _beside(copy, "old")):
        shutil.rmtree(path, ignore_errors=True)


def _whole(copy: Path) -> Path | None:
    return next((path for path in (copy, _beside(copy, "old")) if (path / _NOTE).exists()), None)


def _beside(copy: Path, what: str) -> Path:
    return copy.with_name(f".{copy.name}.{what}")


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:  # no links on this file system
        shutil.copy2(source, target)
