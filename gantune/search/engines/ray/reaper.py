"""Ends a Ray of this machine when the process that started it is killed.

Most of Ray dies by itself then, but its agents first try for a minute to tell the dead of it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gantune.io.processes import Reaper
from gantune.search.engines.ray.processes import descendants

__all__ = ["reaped"]

_END_RAY = """
home=$1; shift
for process in "$@"; do
    grep -qs ray "/proc/$process/cmdline" && kill -s KILL "$process"
done
rm -rf -- "$home"
"""


@contextmanager
def reaped(home: Path, before: set[int]) -> Iterator[None]:
    """Within it a killed process takes with it what it has started since ``before``, and the
    folder ``home``."""
    started = [process for process in descendants(os.getpid()) if process not in before]
    reaper = Reaper(_END_RAY, str(home), *map(str, started))
    try:
        yield
    finally:
        reaper.end()
