"""``Reaper``: cleans up after this process, should it be killed."""

from __future__ import annotations

import subprocess

__all__ = ["Reaper"]


class Reaper:
    """A shell that waits for the end of a pipe that this process alone holds; so it outlives even a
    killed one, and runs ``script`` with its arguments then."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _\n{script}", "gantune-reaper", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """Ends it: there is nothing left to clean up."""
        self._process.kill()
        self._process.communicate()
