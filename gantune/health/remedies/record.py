"""What remedies have done so far: how many failing configs each of them saved and cured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gantune.health.remedies.remedy import Remedy

_FILE = "record.json"


@dataclass(frozen=True)
class Record:
    """What one remedy did to configs that failed by one rule; ``benchmarks/cures.py`` measures it.

    ``tried``: on how many configs; ``saved``: how many of these got no verdict any more; ``cured``:
    how many of these also scored in the better half of healthy runs.
    """

    tried: int = 0
    saved: int = 0
    cured: int = 0

    @property
    def expected(self) -> float:
        """The share that it cures, drawn towards one in three where little was measured."""
        return (self.cured + 1) / (self.tried + 3)

    def __str__(self) -> str:
        return f"cured {self.cured} of {self.tried}, saved {self.saved}"


@cache
def _records() -> dict[str, dict[str, Record]]:
    text = resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8")
    return {
        rule: {name: Record(**entry) for name, entry in remedies.items()}
        for rule, remedies in json.loads(text).items()
    }


def record_of(remedy: Remedy, rule: str) -> Record:
    """The record of a remedy for a rule's verdict; empty where nothing was measured."""
    return _records().get(rule, {}).get(remedy.name, Record())
