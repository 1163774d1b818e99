"""What remedies have done so far: how many failing configs each of them saved and cured."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources

from gantune.health.remedies.remedy import Remedy

_FILE = "record.json"
_DRAW = 3  # configs


@dataclass(frozen=True)
class Record:
    """What one remedy did to configs that failed by one rule; ``benchmarks/cures.py`` measures it.

    ``tried``: on how many configs; ``saved``: how many of these got no verdict any more; ``cured``:
    how many of these also scored in the better half of healthy runs.
    """

    tried: int = 0
    saved: int = 0
    cured: int = 0

    def __str__(self) -> str:
        return (
            f"of {self.tried} runs that failed so {self.saved} survived, {self.cured} trained well"
        )


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


def promise(remedy: Remedy, rule: str) -> float:
    """What a remedy may be expected to do, by its record: the mean of the share of runs that it
    cures and of the share that it saves.

    Where it was tried on few configs, both are drawn towards what all remedies for the rule did, as
    if it had been tried on three configs more with their shares.
    """
    record, every = record_of(remedy, rule), _records().get(rule, {}).values()
    tried = sum(one.tried for one in every)
    if not tried:
        return 0.0
    cured, saved = sum(one.cured for one in every) / tried, sum(one.saved for one in every) / tried
    wins = (record.cured + _DRAW * cured) + (record.saved + _DRAW * saved)
    return wins / 2 / (record.tried + _DRAW)
