"""The files of one run of training. Imports neither torch nor Optuna."""

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

from gantune.errors import RunError
from gantune.io.files import write_text

_ROUNDING = 0.05  # kimg that the name of a grid may be above its true kimg
_GRID = re.compile(r"samples-(\d+(?:\.\d+)?)kimg\.png")
_TAIL = 65536  # bytes at a file's end; a tick takes some 500, an external trainer's maybe more


class _Folder(Protocol):
    @property
    def path(self) -> Path: ...


class FileIn:
    """Path of a file or folder with a fixed name, as an attribute of a folder with a ``path``."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, folder: _Folder, owner: type) -> Path:
        return folder.path / self._name


@dataclass(frozen=True)
class TrialFolder:
    """The files of one run of training: a trial, a finalist, or a training outside a search."""

    path: Path

    config = FileIn("config.yaml")
    """The complete config."""
    data = FileIn("data.json")
    """What a training outside a search learns: source, number, classes, hash of the content."""
    best = FileIn("best.pt")
    """Weights of the best rung so far."""
    last = FileIn("last.pt")
    """The state to resume from, written at each rung."""
    best_backup = FileIn("former-best.pt")
    """The ``best`` before the last one, during training."""
    last_backup = FileIn("previous.pt")
    """The ``last`` of the rung before, during training."""
    checkpoints = FileIn("checkpoints")
    """Folder for the checkpoints of an external trainer, during training."""
    external_best = FileIn("best")
    """Copy of that folder at the best rung so far."""
    external_last = FileIn("last")
    """Copy of that folder at the last rung, to resume from."""
    output = FileIn("output.txt")
    """Output of an external trainer under a search."""
    start = FileIn("start.json")
    """The checkpoint whose weights it started with; missing for fresh weights."""
    extractor = FileIn("extractor")
    """Folder of the feature extractor, of a training outside a search."""
    log = FileIn("log.txt")
    """Messages of a training outside a search, one a line."""
    verdict = FileIn("verdict.json")
    """Its outcome."""
    error = FileIn("error.txt")
    """Traceback of a crash."""
    neighbours = FileIn("neighbours.png")
    """Samples of its best weights beside their nearest training images."""

    @property
    def has_verdict(self) -> bool:
        """Whether ``verdict.json`` is written; a power cut may leave an empty one."""
        return self.verdict.exists() and self.verdict.stat().st_size > 0

    def grid(self, kimg: float) -> Path:
        """Sample grid at ``kimg``: ``samples-0010kimg.png``, ``samples-0001.5kimg.png``."""
        number = f"{kimg:06.1f}".removesuffix(".0")
        return self.path / f"samples-{number}kimg.png"

    def grids(self) -> dict[float, Path]:
        """Its sample grids by kimg, in order."""
        found = ((_GRID.fullmatch(path.name), path) for path in self.path.glob("samples-*kimg.png"))
        return dict(sorted((float(match[1]), path) for match, path in found if match))

    def ticks(self) -> list[dict[str, Any]]:
        """All ticks so far, without a line that is being written: fields of ``Tick``, or those that
        an external trainer reported."""
        return self._lines("ticks.jsonl")

    def last_tick(self) -> dict[str, Any] | None:
        """The last tick, read from the file's end; ``None`` before the first."""
        try:
            with (self.path / "ticks.jsonl").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - _TAIL, 0))
                lines = _whole_lines(file.read())
        except FileNotFoundError:
            return None
        return next((found for line in reversed(lines) if (found := _parsed(line))), None)

    @property
    def last_change(self) -> float | None:
        """When its ticks were written last, in seconds since 1970; ``None`` before the first."""
        try:
            return (self.path / "ticks.jsonl").stat().st_mtime
        except OSError:
            return None

    def scores(self) -> list[dict[str, Any]]:
        """All scores so far: ``kimg``, ``rung`` and the fields of ``Score``.

        ``rung`` is a share of the budget: 0 before training, ``null`` for the full protocol and
        for an external trainer's score between rungs.
        """
        return self._lines("scores.jsonl")

    def add_tick(self, line: Mapping[str, Any]) -> None:
        """Appends a tick, or the report of an external trainer, to ``ticks.jsonl``."""
        self._append("ticks.jsonl", json.dumps(line))

    def add_score(self, line: Mapping[str, Any]) -> None:
        """Appends to ``scores.jsonl``."""
        self._append("scores.jsonl", json.dumps(line))

    def delete_resume_state(self) -> None:
        """Deletes the resume state of gantune's trainer; its best weights stay."""
        self.last.unlink(missing_ok=True)
        self.remove_backups()

    def remove_backups(self) -> None:
        """Deletes the backups, which are for the case that a newer file is damaged."""
        self.last_backup.unlink(missing_ok=True)
        self.best_backup.unlink(missing_ok=True)

    def truncate_after(self, kimg: float) -> None:
        """Deletes ticks, scores and sample grids after ``kimg``, from where training resumes.

        With ``-inf``, where training starts again, it deletes the picture of neighbours too.
        """
        for name in ("ticks.jsonl", "scores.jsonl"):
            kept = [line for line in self._lines(name) if line["kimg"] <= kimg]
            write_text(self.path / name, "".join(json.dumps(line) + "\n" for line in kept))
        for drawn, path in self.grids().items():
            if drawn > kimg + _ROUNDING:
                path.unlink()
        if math.isinf(kimg):
            self.neighbours.unlink(missing_ok=True)

    def _append(self, name: str, line: str) -> None:
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        try:
            lines = _whole_lines((self.path / name).read_bytes())
        except FileNotFoundError:
            return []
        return [found for line in lines if (found := _parsed(line))]


def _whole_lines(content: bytes) -> list[bytes]:
    """All complete lines."""
    return content.rpartition(b"\n")[0].split(b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """The mapping in a line; ``None`` for a line that a power cut or a full disk has torn."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


@dataclass(frozen=True)
class InitialWeights:
    """The checkpoint whose weights a training started with."""

    checkpoint: str
    """Its absolute path."""
    kimg: float
    """Thousands of real images that the weights had been trained on."""

    def __str__(self) -> str:
        return f"the weights of {self.checkpoint}, trained for {self.kimg:g} kimg"


def write_initial_weights(folder: TrialFolder, start: InitialWeights | None) -> None:
    """Writes ``start.json``, or deletes it where a training starts with fresh weights."""
    if start is None:
        folder.start.unlink(missing_ok=True)
    else:
        write_text(folder.start, json.dumps(asdict(start)) + "\n")


def read_initial_weights(folder: TrialFolder) -> InitialWeights | None:
    """What ``write_initial_weights`` wrote. Raises ``RunError`` where it is damaged."""
    try:
        return InitialWeights(**json.loads(folder.start.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder.start}: damaged ({error}); train into another --out") from None


def check_initial_weights(
    folder: TrialFolder, start_from: Path | str | None
) -> InitialWeights | None:
    """The initial weights of the training in a folder.

    Raises ``RunError`` where ``start_from`` is given and is another checkpoint.
    """
    earlier = read_initial_weights(folder)
    if start_from is None or (earlier and Path(earlier.checkpoint) == Path(start_from).resolve()):
        return earlier
    raise RunError(
        f"{folder.path}: started with {earlier or 'fresh weights'}, not with those of "
        f"{start_from}; resume without --from, or train from these into another --out"
    )
