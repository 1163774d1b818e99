"""The errors that users see: each names the place, the value and the remedy."""

import errno
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

_LONGEST_LINE = 1_000  # characters of one line of a message
_LONGEST_TEXT = 20_000  # characters of a whole one; twenty lines of a terminal are 2,000


def bounded(text: str) -> str:
    """A message without the middle of what is too long to be read, whoever wrote that.

    A message repeats values of a user's file, so one of a megabyte would fill the terminal.
    """
    if len(text) <= _LONGEST_LINE:
        return text
    lines = [_without_middle(line) for line in text.split("\n")]
    if sum(map(len, lines)) + len(lines) <= _LONGEST_TEXT:
        return "\n".join(lines)
    first, last = _fitting(lines, 0.7), _fitting(lines[::-1], 0.2)
    left_out = f"... ({len(lines) - first - last:,} more lines)"
    return "\n".join([*lines[:first], left_out, *lines[len(lines) - last :]])


def _without_middle(line: str) -> str:
    if len(line) <= _LONGEST_LINE:
        return line
    return f"{line[:600]} ... ({len(line):,} characters) ... {line[-300:]}"


def _fitting(lines: Sequence[str], share: float) -> int:
    """How many of the first lines fit into a share of the longest text."""
    room, count = share * _LONGEST_TEXT, 0
    while count < len(lines) and (room := room - len(lines[count]) - 1) >= 0:
        count += 1
    return count


class GantuneError(Exception):
    """An error that the user can fix: the command line prints its text and exits with code 2."""

    def __init__(self, text: str = "") -> None:
        super().__init__(bounded(text))


@dataclass(frozen=True)
class Problem:
    """One mistake in a file, with its place.

    ``line`` and ``column`` count from 1; they are ``None`` where the value came from the command
    line or from Python.
    """

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "message", bounded(self.message))

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.line is not None:
            place += [str(self.line), str(self.column or 1)]
        return f"{':'.join(place)}: {self.message}" if place else self.message


class ConfigError(GantuneError):
    """An invalid training configuration. Holds every problem found, not only the first."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        found = [Problem(problems)] if isinstance(problems, str) else problems
        self.problems = tuple(sorted(found, key=lambda p: (p.file, p.line or 0, p.column or 0)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SpaceError(ConfigError):
    """An invalid space file. Holds every problem found, each with its position."""


class DataError(GantuneError):
    """Images that cannot be found, read or used."""


class UnreadableError(DataError):
    """Too many images cannot be read: ``images`` names all of them, each with the reason."""

    def __init__(self, text: str, images: Sequence[Any] = ()) -> None:
        self.images = tuple(images)
        super().__init__(text)


class CacheError(DataError):
    """The cache cannot be written: a fault of the folder, not of the images."""


class MissingSourceError(DataError):
    """A source of images that is not where it was named: moved, or misspelt."""


class LogError(GantuneError):
    """A training log that cannot be read, or that holds nothing to judge."""


class HomeError(GantuneError):
    """A path that begins with ``~`` for a user without a home, or for no user."""


class DeviceError(GantuneError):
    """A device that does not exist or cannot do what is asked of it."""


class CheckpointError(GantuneError):
    """A checkpoint that cannot be read, or that belongs to another network."""


class ScoreError(GantuneError):
    """A score that cannot be computed."""


class RunError(GantuneError):
    """A run folder or study that cannot be used as asked."""


class TrainingError(GantuneError):
    """A trial that failed because of the code or the machine, with its first traceback."""


class TrustError(GantuneError):
    """Code or a database that a received file names, and that the user has not used before."""


class TrainerError(GantuneError):
    """An external trainer that cannot be imported, or that misuses its session."""


class TrainerExitError(TrainerError):
    """An external trainer that ends its process. Another try may go well."""


def is_disk_full(error: BaseException | None) -> bool:
    """Whether an ``OSError`` says that the disk or the user's quota is full."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def disk_full_message(error: OSError, file: object = "a file") -> str:
    """The message for a full disk. ``file``: what was written, where the error does not say."""
    return (
        f"disk full: {error.filename or file} could not be written; free some space and run the "
        "same command again, finished trials are kept"
    )


def first_line(error: BaseException) -> str:
    """The first line of an error's text, or the name of its type where it has no text."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


def summarize_error(error: BaseException) -> str:
    """An error in one line: ``ValueError: the first line of its text``."""
    name, line = type(error).__name__, first_line(error)
    return name if line == name else f"{name}: {line}"


class TrialStopped(BaseException):
    """Raised in an external trainer that reports after it was told to stop; do not catch it.

    It is no ``Exception``, so it also ends a trainer that catches all of those.
    """
