"""``Margin``: how far one setting of a winner stands from values at which training fails."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

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
        return f"{self.path} {', '.join(parts) or 'has no known margin'}"


def read_margins(folder: RunFolder) -> dict[int, list[Margin]]:
    """The margins of a run's winner and of the trial that ties with it, by number of the trial."""
    if not folder.margins.exists():
        return {}
    tree = json.loads(folder.margins.read_text(encoding="utf-8"))
    return {
        int(number): [
            Margin(path, {float(factor): alive for factor, alive in survived.items()})
            for path, survived in settings.items()
        ]
        for number, settings in tree.items()
    }


def write_margins(folder: RunFolder, margins: Mapping[int, Iterable[Margin]]) -> None:
    """Writes what ``read_margins`` reads."""
    tree = {
        str(number): {
            one.path: {f"{f:g}": alive for f, alive in one.survived.items()} for one in all_
        }
        for number, all_ in margins.items()
    }
    write_text(folder.margins, json.dumps(tree, indent=2) + "\n")


def wider(margins: Mapping[int, Sequence[Margin]], first: int, others: Iterable[int]) -> int | None:
    """The trial among ``others`` whose margins are known and wider than those of ``first``."""
    widths = {number: sum(one.width for one in found) for number, found in margins.items()}
    known = [number for number in others if number in widths and first in widths]
    best = max(known, key=lambda number: widths[number], default=None)
    return best if best is not None and widths[best] > widths[first] else None
