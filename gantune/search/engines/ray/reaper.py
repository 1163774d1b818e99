"""Ends a Ray of this machine when the process that started it is killed.

Most of Ray dies by itself then, but its agents first try for a minute to tell the dead of it.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gantune.search.engines.ray.processes import descendants

__all__ = ["reaped"]

_REAPER = """
read -r _
home=$1; shift
for process in "$@"; do
    grep -qs ray "/proc/$process/cmdline" && kill -s KILL "$process"
done
rm -rf -- "$home"
"""
"""Waits for the end of a pipe that this process alone holds; so it outlives even a killed one."""


@contextmanager
def reaped(home: Path, before: set[int]) -> Iterator[None]:
    """Within it a killed process takes with it what it has started since ``before``, and the
    folder ``home``."""
    started = [process for process in descendants(os.getpid()) if process not in before]
    reaper = subprocess.Popen(
        ["/bin/sh", "-c", _REAPER, "gantune-reaper", str(home), *map(str, started)],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield
    finally:
        reaper.kill()
        reaper.communicate()
