"""The scores of a command's run: a column of its log, or images that it writes."""

from __future__ import annotations

import math
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gantune.config.command import CommandScore
from gantune.data.samples import load_samples
from gantune.errors import DataError, LogError, TrainerError
from gantune.health.logs import Columns, Record, open_log
from gantune.io.commands import RunningCommand
from gantune.io.files import matching_paths
from gantune.trial.command_files import CommandFiles
from gantune.trial.session import Session

_LATE = 0.9  # of the run's length: a score from there on may be that of its end
_SETTLED = 1.0  # seconds without a change, after which a folder of images is whole


class CommandScores(ABC):
    """Gives the session scores once they are there."""

    is_waiting = False
    """Whether a score waits for the report of its place."""

    @abstractmethod
    def add(self, at: float, value: float) -> None:
        """Takes a score that was found in the log. ``at``: kimg."""

    @abstractmethod
    def take(self, log: Path | None, *, at_end: bool = False) -> None:
        """Gives the session the scores of what was reported. ``log``: the log's file, if any.

        ``at_end``: the command has ended. Raises what ``Session.score`` raises.
        """

    @abstractmethod
    def explain_missing(self, names: Sequence[str]) -> str:
        """Why there is no score, where ``names`` are the columns of the log."""


class ColumnScores(CommandScores):
    """Scores that the trainer computes: a column of its log or of another file.

    The command stands still while a rung's files are copied.
    """

    def __init__(
        self,
        score: CommandScore,
        files: CommandFiles,
        session: Session,
        process: RunningCommand,
        kimg_of: Callable[[Record], float],
        may_end: Callable[[], None],
    ) -> None:
        """``kimg_of``: the place of a record. ``may_end``: lets the command end by itself."""
        assert score.column is not None
        self._column, self._sign = score.column, -1.0 if score.goal == "max" else 1.0
        self._pattern = None if score.file is None else files.path(score.file)
        self._session, self._process = session, process
        self._kimg_of, self._may_end = kimg_of, may_end
        self._start = session.kimg
        self._waiting: list[tuple[float, float]] = []
        self._last = (0.0, math.nan)
        self._seen, self._stamp = 0, (0, 0)

    @property
    def is_waiting(self) -> bool:  # type: ignore[override]
        return bool(self._waiting)

    def add(self, at: float, value: float) -> None:
        if math.isfinite(value):  # else it was not measured
            self._waiting.append((at, self._sign * value))

    def take(self, log: Path | None, *, at_end: bool = False) -> None:
        for record in self._new_in_file(log):
            self.add(self._kimg_of(record), record.values["score"])
        self._waiting.sort(key=lambda score: score[0])
        while self._waiting and (at_end or self._waiting[0][0] <= self._session.kimg):
            at, value = self._last = self._waiting.pop(0)
            if at > self._start or not self._start:  # else it was taken before
                self._score(value)
        at, value = self._last
        if at_end and self._session.should_score and at >= _LATE * self._session.config.kimg:
            self._score(value)

    def _score(self, value: float) -> None:
        if not self._session.should_score:
            self._session.score(value)
            return
        self._may_end()
        with self._process.paused():
            self._session.score(value)

    def _new_in_file(self, log: Path | None) -> list[Record]:
        """The records with a score that have come into the file of scores."""
        path = self._file(log)
        if path is None:
            return []
        about = path.stat()
        if (about.st_size, about.st_mtime_ns) == self._stamp:
            return []
        self._stamp = about.st_size, about.st_mtime_ns
        try:
            with open_log(path, Columns({"score": self._column})) as scores:
                found = [record for record in scores if "score" in record.values]
        except LogError:
            return []
        new, self._seen = found[self._seen :], len(found)
        return new

    def _file(self, log: Path | None) -> Path | None:
        if self._pattern is None:
            beside = None if log is None else log.parent / f"metric-{self._column}.jsonl"
            return beside if beside is not None and beside.exists() else None
        found = matching_paths(self._pattern)
        return max(found, key=lambda path: path.stat().st_mtime_ns, default=None)

    def explain_missing(self, names: Sequence[str]) -> str:
        if self._pattern is not None:
            return f"score: no column {self._column!r} in {self._pattern}"
        columns = Columns({"score": self._column})
        if columns.find(names).signals.get("score"):
            return f"score.column: no row with {self._column!r} has a number there and a place"
        told, _, _ = columns.explain_missing(names).rpartition("; ")
        return f"score.column: {told}" if names else f"score.column: no column {self._column!r}"


class ImageScores(CommandScores):
    """Scores of the newest folder of samples that the trainer has written.

    A folder is whole once there is a newer one, or nothing has changed in it for a second.
    """

    def __init__(
        self,
        pattern: str,
        session: Session,
        process: RunningCommand,
        may_end: Callable[[], None],
    ) -> None:
        """``may_end``: lets the command end by itself."""
        self._pattern, self._session, self._process = pattern, session, process
        self._may_end = may_end
        self._scored: tuple[int, int] | None = None

    def add(self, at: float, value: float) -> None:
        """No log has these scores."""

    def take(self, log: Path | None, *, at_end: bool = False) -> None:
        if not self._session.should_score:
            return
        folders = {path: _newest(path) for path in matching_paths(self._pattern)}
        if not folders:
            return
        self._may_end()
        at_end = at_end or not self._process.is_running
        *older, newest = sorted(folders, key=lambda one: folders[one])
        is_whole = at_end or time.time() - folders[newest][0] / 1e9 >= _SETTLED
        folder = newest if is_whole or not older else older[-1]
        is_new = folders[folder] != self._scored and folders[folder][1] > 0
        if (is_whole or older) and (is_new or at_end):
            self._scored = folders[folder]
            with self._process.paused():
                self._session.score(images=self._draw_from(folder))

    def _draw_from(self, folder: Path) -> Callable[[int], NDArray[Any]]:
        """Draws the images of a folder in turn. Raises ``TrainerError`` for too few, or none."""
        protocols = self._session.evaluator.protocols
        needed = max(protocols.full.generated, protocols.rung.generated)
        is_gray = protocols.full.colour == "gray"
        try:
            images = load_samples(folder, colour="gray" if is_gray else "rgb")
        except DataError as error:
            raise TrainerError(f"score.images: {error}") from None
        if len(images) < needed:
            raise TrainerError(
                f"score.images: {folder} holds {len(images):,} images, and a score takes "
                f"{needed:,}; let the trainer write more, or set objective: {{samples: "
                f"{len(images)}, rung_samples: {len(images)}}}"
            )
        return partial(_in_turn, images.array, [0])

    def explain_missing(self, names: Sequence[str]) -> str:
        return f"score.images: no folder {self._pattern} with new images"


def _in_turn(array: NDArray[Any], position: list[int], count: int) -> NDArray[Any]:
    """The next images of an array, which begins again at its end."""
    taken = (position[0] + np.arange(count)) % len(array)
    position[0] = int(taken[-1] + 1) % len(array)
    return np.asarray(array[taken])


def _newest(folder: Path) -> tuple[int, int]:
    """Time of the last change in a folder of images, ns, and the number of its files."""
    try:
        times = [entry.stat().st_mtime_ns for entry in os.scandir(folder) if entry.is_file()]
    except OSError:
        return 0, 0
    return max(times, default=0), len(times)
