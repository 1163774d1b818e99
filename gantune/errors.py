"""The exception tree. Every user error names the place, the value and the way out."""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
"""Numbers of an ``OSError`` that says there is no room left."""


class GantuneError(Exception):
    """An error of the user's: the command line prints its text alone and exits with code 2."""


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong in a file: where it stands and what was meant.

    ``line`` and ``column`` count from 1; ``None`` where the value came from the command line
    or from Python.
    """

    message: str
    file: str = ""
    line: int | None = None
    column: int | None = None

    def __str__(self) -> str:
        place = [self.file] if self.file else []
        if self.line is not None:
            place += [str(self.line), str(self.column or 1)]
        return f"{':'.join(place)}: {self.message}" if place else self.message


class ConfigError(GantuneError):
    """A training configuration that cannot be; holds every problem found, not the first."""

    def __init__(self, problems: Sequence[Problem] | str) -> None:
        found = [Problem(problems)] if isinstance(problems, str) else problems
        self.problems = tuple(sorted(found, key=lambda p: (p.file, p.line or 0, p.column or 0)))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SpaceError(ConfigError):
    """A space file that cannot be searched; holds every problem found, with its position."""


class DataError(GantuneError):
    """Images that cannot be found, read or used."""


class LogError(GantuneError):
    """A training log that cannot be read, or that holds nothing to judge."""


class DeviceError(GantuneError):
    """A device that is not there or cannot do what is asked."""


class CheckpointError(GantuneError):
    """A checkpoint that cannot be read, or that belongs to another network."""


class ScoreError(GantuneError):
    """A score that cannot be computed."""


class RunError(GantuneError):
    """A run folder or study that cannot be used as asked."""


class TrainingError(GantuneError):
    """A trial that ended in an error of the code or the machine, with its first traceback."""


class TrainerError(GantuneError):
    """A trainer of one's own that cannot be found, or does not keep to what its session asks."""


class TrialStopped(BaseException):
    """Raised in a trainer of one's own that reports although it was told to stop: let it through.

    No ``Exception``, so that a trainer that catches all of those is ended by it all the same.
    """
