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
from gantune.errors import DataError, TrainerError
from gantune.health.logs import Columns
from gantune.health.logs.following import read_whole_lines, records_in
from gantune.io.commands import RunningCommand
from gantune.io.files import matching_paths
from gantune.trial.command_files import CommandFiles
from gantune.trial.session import Session

NEARLY = 0.9
"""Share of its length after which a command that ends by itself has trained it, and a score may be
that of its end."""

_ROUNDING = 5e-4  # kimg: half an image
_SETTLED = 1.0  # seconds without a change, after which a folder of images is whole


class CommandScores(ABC):
    """Gives the session scores once they are there."""

    process: RunningCommand
    """The command, once it runs."""

    @abstractmethod
    def add(self, at: float, value: float) -> None:
        """Takes a score that was found in the log. ``at``: kimg."""

    @abstractmethod
    def forget(self) -> None:
        """Forgets the scores that were found in the log and not given yet."""

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

    The command stands still while a rung's files are copied. A score of before a rung does not
    decide it.
    """

    def __init__(
        self,
        score: CommandScore,
        files: CommandFiles,
        session: Session,
        place_of: Callable[..., float],
        may_end: Callable[[], None],
    ) -> None:
        """``place_of``: the kimg of a record. ``may_end``: lets the command end by itself."""
        assert score.column is not None
        self._column, self._sign = score.column, -1.0 if score.goal == "max" else 1.0
        self._columns = Columns({"score": score.column})
        self._pattern = None if score.file is None else files.path(score.file)
        self._session, self._place_of, self._may_end = session, place_of, may_end
        self._waiting: list[tuple[float, float]] = []
        self._last = (0.0, math.nan)
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._seen: dict[Path, int] = {}
        for path in self._files(files.folder):
            self._seen[path] = records_in(path, self._columns)
        self._before = {*self._seen}

    def add(self, at: float, value: float) -> None:
        if math.isfinite(value):  # else it was not measured
            self._waiting.append((at, self._sign * value))

    def forget(self) -> None:
        self._waiting.clear()

    def take(self, log: Path | None, *, at_end: bool = False) -> None:
        self._read_files(log)
        self._waiting.sort(key=lambda score: score[0])
        reached = math.inf if at_end else self._session.kimg
        while self._waiting and self._waiting[0][0] <= reached:
            at, value = self._last = self._waiting.pop(0)
            due = self._session.due_kimg
            is_for_rung = at >= (NEARLY * due if at_end else due - _ROUNDING)
            if is_for_rung or not self._session.should_score:
                self._score(value)
        at, value = self._last
        if at_end and self._session.should_score and at >= NEARLY * self._session.due_kimg:
            self._score(value)

    def _score(self, value: float) -> None:
        if not self._session.should_score:
            self._session.score(value)
            return
        self._may_end()
        with self.process.paused():
            self._session.score(value)

    def _read_files(self, log: Path | None) -> None:
        """Adds the scores that have come into files of their own."""
        for path in self._files(None if log is None else log.parent):
            try:
                about = path.stat()
            except OSError:
                continue
            stamp = about.st_size, about.st_mtime_ns
            if self._stamps.get(path) == stamp:
                continue
            self._stamps[path] = stamp
            records = read_whole_lines(path, self._columns)
            for record in records[self._seen.get(path, 0) :]:
                if "score" in record.values:
                    at = self._place_of(record, is_new=path not in self._before)
                    self.add(at, record.values["score"])
            self._seen[path] = len(records)

    def _files(self, folder: Path | None) -> list[Path]:
        """The files of scores: those that the space names, or StyleGAN's beside the log."""
        if self._pattern is not None:
            return matching_paths(self._pattern)
        name = f"metric-{self._column}.jsonl"
        return [] if folder is None else [*folder.glob(name), *folder.glob(f"*/{name}")]

    def explain_missing(self, names: Sequence[str]) -> str:
        if self._pattern is not None:
            return f"score: no column {self._column!r} in {self._pattern}"
        if self._columns.find(names).signals.get("score"):
            return f"score.column: no row with {self._column!r} has a number there and a place"
        told, _, _ = self._columns.explain_missing(names).rpartition("; ")
        return f"score.column: {told}" if names else f"score.column: no column {self._column!r}"


class ImageScores(CommandScores):
    """Scores of the newest folder of samples that the trainer has written.

    A folder is whole once there is a newer one, or nothing has changed in it for a second.
    """

    def __init__(self, pattern: str, session: Session, may_end: Callable[[], None]) -> None:
        """``may_end``: lets the command end by itself."""
        self._pattern, self._session, self._may_end = pattern, session, may_end
        self._scored: tuple[int, int] | None = None
        self._looked = 0.0

    def add(self, at: float, value: float) -> None:
        """No log has these scores."""

    def forget(self) -> None:
        """No log has these scores."""

    def take(self, log: Path | None, *, at_end: bool = False) -> None:
        now = time.monotonic()
        if not self._session.should_score or (now - self._looked < _SETTLED and not at_end):
            return
        self._looked = now
        if not matching_paths(self._pattern):
            return
        self._may_end()
        at_end = at_end or not self.process.is_running
        folders = {path: _newest(path) for path in matching_paths(self._pattern)}
        *older, newest = sorted(folders, key=lambda one: folders[one])
        is_whole = at_end or time.time() - folders[newest][0] / 1e9 >= _SETTLED
        folder = newest if is_whole or not older else older[-1]
        is_new = folders[folder] != self._scored and folders[folder][1] > 0
        if (is_whole or older) and (is_new or at_end):
            self._scored = folders[folder]
            with self.process.paused():
                self._session.score(images=self._draw_from(folder))

    def _draw_from(self, folder: Path) -> Callable[[int], NDArray[Any]]:
        """Draws the images of a folder in turn. Raises ``TrainerError`` for too few, or none."""
        protocols = self._session.scorer.evaluator.protocols
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
