"""What is said to the user and what is logged: each reaches the other."""

from __future__ import annotations

import logging
import time
from pathlib import Path

from gantune.tuner.state import RunState


class Observer:
    """What a search tells while it goes on; this one is silent. Terminals override it."""

    def say(self, text: str) -> None:
        """A line for the user: what was found, begun, stopped or ended."""

    def progress(self, what: str, done: int, total: int) -> None:
        """How far a preparation is, such as decoding images.

        ``total`` is 0 where that cannot be counted: ``done`` is 0 at its beginning, 1 at its end.
        """

    def refresh(self, state: RunState) -> None:
        """The search's state, a few times a second."""


class LogFileObserver(Observer):
    """Passes everything on; lines are kept with the local time in front."""

    def __init__(self, watcher: Observer, log: Path) -> None:
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


class LoggingBridge(logging.Handler):
    """Says the package's warnings to a watcher: ``with Told(watcher): ...``"""

    def __init__(self, watcher: Observer) -> None:
        super().__init__(logging.WARNING)
        self._watcher, self._logger = watcher, logging.getLogger("gantune")

    def emit(self, record: logging.LogRecord) -> None:
        """Says one warning."""
        self._watcher.say(record.getMessage())

    def __enter__(self) -> None:
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
