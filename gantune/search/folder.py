"""The run folder: which file lies where, and who may write it. No torch and no Optuna here."""

from __future__ import annotations

import fcntl
import glob
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantune.errors import RunError
from gantune.files import write_text
from gantune.gan.tick import Tick
from gantune.problems import nearest

__all__ = ["RunFolder", "TrialFolder", "find_run", "find_trial"]

_TAIL = 8192  # bytes from a file's end; a tick's line has some 500


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
                whole, _, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return None
        line = whole.rpartition(b"\n")[2]
        found: dict[str, Any] | None = json.loads(line) if line else None
        return found

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

    def cut_back(self, kimg: float) -> None:
        """Drops ticks and scores after ``kimg``, from where training goes on."""
        for name in ("ticks.jsonl", "scores.jsonl"):
            kept = [line for line in self._lines(name) if line["kimg"] <= kimg]
            write_text(self.path / name, "".join(json.dumps(line) + "\n" for line in kept))

    def _append(self, name: str, line: str) -> None:
        with (self.path / name).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def _lines(self, name: str) -> list[dict[str, Any]]:
        try:
            text = (self.path / name).read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        whole, _, _ = text.rpartition("\n")
        return [json.loads(line) for line in whole.splitlines()]


@dataclass(frozen=True)
class RunFolder:
    """A search's files."""

    path: Path

    @property
    def space(self) -> Path:
        """The space as it was searched: overrides merged in, paths absolute."""
        return self.path / "space.yaml"

    @property
    def info(self) -> Path:
        """What the search was started with: study, storage, command, versions, protocol."""
        return self.path / "run.json"

    @property
    def journal(self) -> Path:
        """Optuna's journal."""
        return self.path / "study.journal"

    @property
    def best(self) -> Path:
        """The best config so far, as training imports it."""
        return self.path / "best.yaml"

    @property
    def table(self) -> Path:
        """All trials as a table."""
        return self.path / "trials.csv"

    @property
    def log(self) -> Path:
        """What happened, line by line."""
        return self.path / "log.txt"

    @property
    def extractor(self) -> Path:
        """Folder of the feature extractor that all scores of this run were taken with."""
        return self.path / "extractor"

    def trial(self, name: str) -> TrialFolder:
        """The folder of a trial or finalist, by its name such as ``trials/0007``."""
        return TrialFolder(self.path / name)

    def read_info(self) -> dict[str, Any]:
        """Contents of ``run.json``. Raises ``RunError`` where there is none."""
        try:
            info: dict[str, Any] = json.loads(self.info.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise RunError(f"{self.path}: no run of gantune (it has no run.json)") from None
        except json.JSONDecodeError as error:
            raise RunError(f"{self.info}: damaged ({error})") from None
        return info

    @property
    def is_running(self) -> bool:
        """Whether a process holds the run."""
        try:
            with (self.path / ".lock").open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @property
    def locked_since(self) -> float:
        """When the last command took hold of the run, seconds since 1970."""
        return (self.path / ".lock").stat().st_mtime

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Holds the run for one driver; the lock dies with its process.

        Raises ``RunError`` where another process holds it, and where the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            file = (self.path / ".lock").open("a+", encoding="utf-8")
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); choose another with --out"
            ) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise RunError(
                    f"{self.path}: in use by another gantune (process {file.read().strip()}); wait "
                    "for it, or choose another folder with --out"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def find_run(name: str) -> RunFolder:
    """A run by its folder or by its study's name under ``runs/``. Raises ``RunError``.

    A search with overrides lies in ``runs/NAME-<hash>``: the newest of these where no other fits.
    """
    for path in (Path(name), Path("runs") / name):
        if (path / "run.json").exists():
            return RunFolder(path)
    is_name = bool(name) and not Path(name).is_absolute()
    changed = Path("runs").glob(f"{glob.escape(name)}-??????/run.json") if is_name else iter(())
    newest = max(changed, key=lambda path: path.stat().st_mtime, default=None)
    if newest is not None:
        return RunFolder(newest.parent)
    if Path(name).is_dir():
        raise RunError(f"{name}: no run of gantune (it has no run.json)")
    known = sorted(path.parent.name for path in Path("runs").glob("*/run.json"))
    there = f"; there are: {', '.join(known)}" if known else "; there are none under runs/"
    raise RunError(f"{name}: no such run{nearest(name, known) or there}")


def find_trial(name: str) -> tuple[RunFolder, int]:
    """The run and number that ``runs/dcgan#7`` names. Raises ``RunError``."""
    run, _, number = name.rpartition("#")
    if not run or not number.isdigit():
        raise RunError(f"{name}: no trial's name; write RUN#NUMBER, such as runs/dcgan#7")
    return find_run(run), int(number)
