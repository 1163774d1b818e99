"""A watcher that also writes what is said to the run's ``log.txt``."""

from __future__ import annotations

import time
from pathlib import Path

from gantune.search.state import RunState, Watcher

__all__ = ["LoggedWatcher"]


class LoggedWatcher(Watcher):
    """Passes everything on; lines are kept with the local time in front."""

    def __init__(self, watcher: Watcher, log: Path) -> None:
        self._watcher, self._log = watcher, log

    def say(self, text: str) -> None:
        """Logs the line, then passes it on."""
        with self._log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._watcher.say(text)

    def progress(self, what: str, done: int, total: int) -> None:
        """Passes it on."""
        self._watcher.progress(what, done, total)

    def refresh(self, state: RunState) -> None:
        """Passes it on."""
        self._watcher.refresh(state)
