"""A folder of a worker's own, on a machine that does not see the run folder."""

from __future__ import annotations

import atexit
import fcntl
import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

__all__ = ["scratch_folder"]

_PREFIX = "gantune-trials-"
_LOCK = ".lock"


def scratch_folder() -> Path:
    """A new one, which goes when this process ends.

    Those of killed workers, which could not, go first: nobody holds their locks any more.
    """
    for left in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        _remove_unless_held(left)
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX))
    lock = folder / f"{_LOCK}.new"
    fcntl.flock(os.open(lock, os.O_WRONLY | os.O_CREAT), fcntl.LOCK_EX)  # open until the end
    lock.rename(folder / _LOCK)  # held before anybody can find it
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _remove_unless_held(folder: Path) -> None:
    with suppress(OSError), (folder / _LOCK).open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
