"""``TrialFolder``: one run's files. No torch and no Optuna here."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gantune.errors import RunError
from gantune.gan.tick import Tick
from gantune.io.files import write_text

_NAMED = 0.05  # kimg by which the name of a grid may be above the moment that it shows


_GRID = re.compile(r"samples-(\d+(?:\.\d+)?)kimg\.png")


_TAIL = 65536  # bytes from a file's end; a tick's line has some 500, another trainer's may be long


@dataclass(frozen=True)
class TrialFolder:
    """One trial's files."""

    path: Path

    @property
    def config(self) -> Path:
        """The whole config."""
        return self.path / "config.yaml"

    @property
    def best(self) -> Path:
        """Weights of the best rung so far."""
        return self.path / "best.pt"

    @property
    def last(self) -> Path:
        """Everything that training goes on from, written at each rung."""
        return self.path / "last.pt"

    @property
    def former_best(self) -> Path:
        """What ``best`` was before it was written last, while training goes on."""
        return self.path / "former-best.pt"

    @property
    def previous(self) -> Path:
        """What ``last`` was a rung before, while training goes on."""
        return self.path / "previous.pt"

    @property
    def checkpoints(self) -> Path:
        """Folder into which a trainer of the user's own writes, while it trains."""
        return self.path / "checkpoints"

    @property
    def own_best(self) -> Path:
        """Copy of that folder at the best rung so far."""
        return self.path / "best"

    @property
    def own_last(self) -> Path:
        """Copy of that folder at the last rung, from which the trainer goes on."""
        return self.path / "last"

    @property
    def output(self) -> Path:
        """What a trainer of the user's own printed under a search."""
        return self.path / "output.txt"

    @property
    def start(self) -> Path:
        """Whose weights it began with; missing where they were fresh."""
        return self.path / "start.json"

    @property
    def extractor(self) -> Path:
        """Folder of the feature extractor of a training outside any search."""
        return self.path / "extractor"

    @property
    def log(self) -> Path:
        """What a training outside any search said, line by line."""
        return self.path / "log.txt"

    @property
    def verdict(self) -> Path:
        """How it ended, and why."""
        return self.path / "verdict.json"

    @property
    def error(self) -> Path:
        """The traceback of one that crashed."""
        return self.path / "error.txt"

    @property
    def neighbours(self) -> Path:
        """Samples of its best weights beside the training images that are nearest to them."""
        return self.path / "neighbours.png"

    def grid(self, kimg: float) -> Path:
        """Sample grid at ``kimg``: ``samples-0010kimg.png``, ``samples-0001.5kimg.png``."""
        number = f"{kimg:06.1f}".removesuffix(".0")
        return self.path / f"samples-{number}kimg.png"

    def grids(self) -> dict[float, Path]:
        """Its sample grids by kimg, in order."""
        found = ((_GRID.fullmatch(path.name), path) for path in self.path.glob("samples-*kimg.png"))
        return dict(sorted((float(match[1]), path) for match, path in found if match))

    def ticks(self) -> list[Tick]:
        """All ticks so far; a line still being written is left out."""
        return [Tick(**line) for line in self._lines("ticks.jsonl")]

    def tick_lines(self) -> list[dict[str, Any]]:
        """The same as plain mappings: of a trainer of the user's own, what it reported."""
        return self._lines("ticks.jsonl")

    def last_tick(self) -> Tick | None:
        """The newest whole tick of gantune's trainer; ``None`` before the first."""
        line = self.last_line()
        return None if line is None else Tick(**line)

    def last_line(self) -> dict[str, Any] | None:
        """The newest whole tick as a plain mapping, read from the file's end; ``None`` before the
        first."""
        try:
            with (self.path / "ticks.jsonl").open("rb") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(size - _TAIL, 0))
                lines = _whole_lines(file.read())
        except FileNotFoundError:
            return None
        return next((found for line in reversed(lines) if (found := _parsed(line))), None)

    def scores(self) -> list[dict[str, Any]]:
        """All scores so far: ``kimg``, ``rung`` (share of the budget, 0 before training, ``null``
        for the full protocol, and for a trainer's own score between rungs) and the fields of
        ``Score``."""
        return self._lines("scores.jsonl")

    def add_tick(self, tick: Tick) -> None:
        """Appends to ``ticks.jsonl``."""
        self._append("ticks.jsonl", tick.to_json())

    def add_line(self, line: Mapping[str, Any]) -> None:
        """Appends to ``ticks.jsonl`` what a trainer of the user's own reported."""
        self._append("ticks.jsonl", json.dumps(line))

    def add_score(self, line: Mapping[str, Any]) -> None:
        """Appends to ``scores.jsonl``."""
        self._append("scores.jsonl", json.dumps(line))

    def drop_checkpoints(self) -> None:
        """Removes all that gantune's trainer goes on from; its best weights stay."""
        self.last.unlink(missing_ok=True)
        self.remove_backups()

    def remove_backups(self) -> None:
        """Removes what is kept only in case that a newer file is damaged."""
        self.previous.unlink(missing_ok=True)
        self.former_best.unlink(missing_ok=True)

    def truncate_after(self, kimg: float) -> None:
        """Drops ticks, scores and pictures after ``kimg``, from where training goes on.

        Neighbours, which are of the best rung so far, go where it begins anew.
        """
        for name in ("ticks.jsonl", "scores.jsonl"):
            kept = [line for line in self._lines(name) if line["kimg"] <= kimg]
            write_text(self.path / name, "".join(json.dumps(line) + "\n" for line in kept))
        for drawn, path in self.grids().items():
            if drawn > kimg + _NAMED:
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
    """All lines that have come to their end."""
    return content.rpartition(b"\n")[0].split(b"\n")


def _parsed(line: bytes) -> dict[str, Any] | None:
    """A line's mapping; ``None`` for one that a power cut or a full disk has torn."""
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


# ``Start``: the weights that a training began with, where they were another run's.


@dataclass(frozen=True)
class Start:
    """A checkpoint as it was when a training began with its weights."""

    checkpoint: str
    """Its absolute path."""
    kimg: float
    """Thousands of real images that the weights had learned from."""

    def __str__(self) -> str:
        return f"the weights of {self.checkpoint}, trained for {self.kimg:g} kimg"


def write_start(folder: TrialFolder, start: Start | None) -> None:
    """Writes ``start.json``; there is none where a training begins with fresh weights."""
    if start is None:
        folder.start.unlink(missing_ok=True)
    else:
        write_text(folder.start, json.dumps(asdict(start)) + "\n")


def read_start(folder: TrialFolder) -> Start | None:
    """What ``write_start`` wrote. Raises ``RunError`` where it is damaged."""
    try:
        return Start(**json.loads(folder.start.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder.start}: damaged ({error}); train into another --out") from None


def same_start(folder: TrialFolder, start_from: Path | str | None) -> Start | None:
    """What the training in a folder began with, which must be ``start_from`` where that is given.

    Raises ``RunError`` where it is not.
    """
    earlier = read_start(folder)
    if start_from is None or (earlier and Path(earlier.checkpoint) == Path(start_from).resolve()):
        return earlier
    raise RunError(
        f"{folder.path}: began with {earlier or 'fresh weights'}, not with those of {start_from}; "
        "go on without --from, or train from these into another --out"
    )
