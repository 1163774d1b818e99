"""A trial's files on their way: packed for a checkpoint, and unpacked where they belong."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from gantune.io.files import link_or_copy
from gantune.run_folder.trial import TrialFolder

if TYPE_CHECKING:
    from ray.tune import Checkpoint

__all__ = ["goes_on", "packed", "unpack"]


def goes_on(folder: TrialFolder) -> bool:
    """Whether a trial's folder holds something to go on from."""
    return any(path.exists() for path in (folder.last, folder.previous, folder.own_last))


@contextmanager
def packed(folder: TrialFolder, *, has_ended: bool) -> Iterator[Path]:
    """A folder of what a checkpoint of the trial is made of, by links where they can be had.

    That is all of it but the folder in which another trainer writes, of which ``last/`` is the
    copy; of one that has ended also not what training would go on from.
    """
    left_out = {folder.checkpoints.name}
    if has_ended:
        left_out |= {folder.last.name, folder.own_last.name}
        left_out |= {folder.previous.name, folder.former_best.name}
    parcel = folder.path.with_name(f".{folder.path.name}.{secrets.token_hex(8)}")

    def ignored(place: str, names: list[str]) -> set[str]:
        return {n for n in names if n in left_out} if Path(place) == folder.path else set()

    try:
        shutil.copytree(folder.path, parcel, ignore=ignored, copy_function=link_or_copy)
        yield parcel
    finally:
        shutil.rmtree(parcel, ignore_errors=True)


def unpack(checkpoint: Checkpoint, folder: TrialFolder) -> None:
    """Brings a checkpoint's files into a trial's folder; what training goes on from comes last.

    So a kill in the midst leaves ticks and scores that reach beyond ``last.pt``, which are cut
    back, and never the other way round. The copies before another trainer's newest, whose names
    begin with a dot, come after those, which would take their place. Raises ``OSError``.
    """
    staged = folder.path.with_name(f".{folder.path.name}.{secrets.token_hex(8)}")
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        checkpoint.to_directory(str(staged))
        last = (folder.last.name, folder.own_last.name)

        def turn(path: Path) -> tuple[bool, bool, str]:
            return path.name.startswith("."), path.name in last, path.name

        incoming = sorted(staged.iterdir(), key=turn)
        names = {path.name for path in incoming}
        for picture in (*folder.grids().values(), folder.neighbours):
            if picture.name not in names:  # of a try before
                picture.unlink(missing_ok=True)
        for path in incoming:
            _place(path, folder.path / path.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _place(source: Path, target: Path) -> None:
    """Moves a file or folder to its place, synced first, as a whole."""
    for path in (source, *source.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if not target.is_dir():
        source.replace(target)
        return
    old = target.with_name(f".{target.name}.old")  # where a copy of another trainer is looked for
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    source.replace(target)
    shutil.rmtree(old, ignore_errors=True)
