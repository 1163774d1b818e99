"""Messages and progress for the user, and their way to and from log files and ``logging``."""

import logging
import time
from functools import cache
from pathlib import Path


class Observer:
    """Receives messages and progress. This one ignores both; terminals override it."""

    def message(self, text: str) -> None:
        """A line for the user: something was found, started, stopped or finished."""

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """How far a preparation or a training is, such as decoding images.

        ``total`` is 0 where the steps cannot be counted: ``done`` is then 0 at the start and 1 at
        the end. ``note``: what else changes, such as the speed.
        """


class LogFileObserver(Observer):
    """Writes each message to a log file, with the local time, and passes everything on."""

    def __init__(self, observer: Observer, log: Path) -> None:
        self._observer, self._log = observer, log

    def message(self, text: str) -> None:
        """Logs the line, then passes it on."""
        with self._log.open("a", encoding="utf-8") as file:
            file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
        self._observer.message(text)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Passes it on."""
        self._observer.progress(what, done, total, note)


@cache
def warn_once(sentence: str) -> None:
    """Logs a warning the first time that a process comes to it."""
    logging.getLogger("gantune").warning(sentence)


class LoggingBridge(logging.Handler):
    """Passes the package's warnings to an observer: ``with LoggingBridge(observer): ...``"""

    def __init__(self, observer: Observer) -> None:
        super().__init__(logging.WARNING)
        self._observer, self._logger = observer, logging.getLogger("gantune")

    def emit(self, record: logging.LogRecord) -> None:
        """Passes on one warning."""
        self._observer.message(record.getMessage())

    def __enter__(self) -> None:
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)
