"""``Margin``: how far one setting of a winner stands from values at which training fails."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gantune.io.files import write_text
from gantune.run_folder.run import RunFolder

FACTORS = (2.0, 0.5, 4.0, 0.25)
"""The multiples of a setting that are trained; the last two only where half of them survives."""


@dataclass(frozen=True)
class Margin:
    """What became of a config where one setting was multiplied."""

    path: str
    """The setting, such as ``generator.lr``."""
    survived: Mapping[float, bool]
    """By factor, whether the run got no verdict of health; only of runs that tell it."""

    @property
    def low(self) -> float:
        """The smallest factor down to which every run survived; 1 where none did."""
        return self._reach(0.5)

    @property
    def high(self) -> float:
        """The largest factor up to which every run survived; 1 where none did."""
        return self._reach(2.0)

    @property
    def width(self) -> float:
        """How many times the setting may be doubled from ``low`` to ``high``."""
        return math.log2(self.high / self.low)

    @property
    def is_known(self) -> bool:
        """Whether on both sides a run failed, or the last factor was survived."""
        ends = (self.low, min(FACTORS)), (self.high, max(FACTORS))
        return all(
            reach == last or self.survived.get(reach * step) is False
            for (reach, last), step in zip(ends, (0.5, 2.0), strict=True)
        )

    def _reach(self, step: float) -> float:
        factor = 1.0
        while self.survived.get(factor * step):
            factor *= step
        return factor

    def __str__(self) -> str:
        """``generator.lr survives 0.25x to 2x, fails at 4x``."""
        fails = [f"{factor:g}x" for factor in sorted(self.survived) if not self.survived[factor]]
        parts = []
        if self.low < self.high:
            parts.append(f"survives {self.low:g}x to {self.high:g}x")
        if fails:
            parts.append(f"fails at {' and '.join(fails)}")
        return f"{self.path} {', '.join(parts) or 'was not told by any run'}"


@dataclass(frozen=True)
class TrainedMargins:
    """The margins of one trial."""

    length: float
    """Kimg of each training."""
    kimg: float
    """Kimg of all of them."""
    seconds: float
    """Seconds that they took."""
    margins: tuple[Margin, ...]


def read_margins(folder: RunFolder) -> dict[int, TrainedMargins]:
    """The margins of a run's winner and of the trial that ties with it, by number of the trial.

    A damaged file tells none: they are made again from their searches.
    """
    try:
        tree = json.loads(folder.margins.read_text(encoding="utf-8"))
        return {int(number): _parsed(entry) for number, entry in tree.items()}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return {}


def _parsed(entry: Mapping[str, Any]) -> TrainedMargins:
    margins = [
        Margin(path, {float(factor): bool(alive) for factor, alive in survived.items()})
        for path, survived in entry["margins"].items()
    ]
    length, kimg, seconds = (float(entry[name]) for name in ("length", "kimg", "seconds"))
    return TrainedMargins(length, kimg, seconds, tuple(margins))


def write_margins(folder: RunFolder, margins: Mapping[int, TrainedMargins]) -> None:
    """Writes what ``read_margins`` reads."""
    tree = {
        str(number): {
            "length": trained.length,
            "kimg": trained.kimg,
            "seconds": trained.seconds,
            "margins": margins_json(trained.margins),
        }
        for number, trained in margins.items()
    }
    write_text(folder.margins, json.dumps(tree, indent=2) + "\n")


def margins_json(margins: Iterable[Margin]) -> dict[str, dict[str, bool]]:
    """By setting and factor, whether the run survived."""
    return {
        one.path: {f"{factor:g}": alive for factor, alive in one.survived.items()}
        for one in margins
    }


def wider(margins: Mapping[int, Sequence[Margin]], first: int, others: Iterable[int]) -> int | None:
    """The trial among ``others`` whose margins are wider than those of ``first``; only trials with
    the same settings, all of which are known to their ends, are compared."""
    widths = {
        number: ({one.path for one in found}, sum(one.width for one in found))
        for number, found in margins.items()
        if found and all(one.is_known for one in found)
    }
    if first not in widths:
        return None
    paths, width = widths[first]
    known = [number for number in others if number in widths and widths[number][0] == paths]
    best = max(known, key=lambda number: widths[number][1], default=None)
    return best if best is not None and widths[best][1] > width else None
