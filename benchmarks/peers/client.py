"""A search's side of the line protocol; it needs nothing but Python.

    search = Search()
    score = search.train(number=0, values={"generator.lr": 1e-4, ...}, percent=25)

Once the benchmark needs no more, ``train`` ends the process. What a search prints goes to standard
error, because standard output belongs to the protocol.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Parameter", "Search"]


@dataclass(frozen=True)
class Parameter:
    """A choice or a range."""

    name: str
    when: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    """Values of other parameters with which this one matters; with others it is ignored."""
    choices: Sequence[Any] = ()
    """Empty for a range."""
    low: float = 0.0
    high: float = 0.0
    log: bool = False
    whole: bool = False
    """Whether a range holds integers."""


class Search:
    """One search of a recorded table."""

    def __init__(self) -> None:
        self._requests = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        task = self._read()
        self.seed: int = task["seed"]
        self.settings: int = task["settings"]
        """How many settings the table holds: no search can try more."""
        self.percents: list[int] = task["percents"]
        """Where a run has a score, in percent of its length."""
        self.parameters = [Parameter(**fields) for fields in task["parameters"]]

    def train(self, number: int, values: Mapping[str, Any], percent: float) -> float:
        """The score of a setting that is trained as far as ``percent``; lower is better. The same
        number means the same setting. It goes on from where it was, and only that is charged."""
        request = {"number": number, "values": dict(values), "percent": float(percent)}
        print(json.dumps(request, default=_plain), file=self._requests, flush=True)
        answer = self._read()
        if "stop" in answer:
            os._exit(0)  # libraries may hold threads and files; nothing of theirs is needed
        score: float = answer["score"]
        return score

    def _read(self) -> dict[str, Any]:
        line = sys.stdin.readline()
        if not line:
            os._exit(0)
        message: dict[str, Any] = json.loads(line)
        return message


def _plain(value: Any) -> Any:
    """A NumPy number as Python's own."""
    return value.item()
