"""``RunState``: everything that can be told of a search at one moment, running or ended."""

from __future__ import annotations

import logging
from collections import Counter
from dataclasses import dataclass

from gantune.search.finalists import Ranked, survivors
from gantune.search.folder import RunFolder
from gantune.search.records import TrialRecord

__all__ = ["RunState", "Told", "Watcher"]


@dataclass(frozen=True)
class RunState:
    """A search at one moment; what the live view, ``status`` and the closing summary show."""

    study: str
    folder: RunFolder
    trials: tuple[TrialRecord, ...]
    """By number; running ones have no outcome."""
    finalists: tuple[TrialRecord, ...]
    """Trainings of finalists by number."""
    ranking: tuple[Ranked, ...]
    """Finalists, best first; empty before one has a score."""
    planned_trials: int | None
    """``None`` where only time bounds the search."""
    planned_finalists: int
    """Trainings of finalists, at most."""
    seconds: float
    """That the search has taken so far, over all its starts."""

    @property
    def survivors(self) -> list[TrialRecord]:
        """Trials with a score under the full protocol, best first."""
        return survivors(self.trials)

    @property
    def running(self) -> list[TrialRecord]:
        """Trials and finalists that have not ended."""
        return [r for r in (*self.trials, *self.finalists) if r.outcome is None]

    @property
    def endings(self) -> Counter[str]:
        """How many trials ended how."""
        return Counter(r.outcome.ending for r in self.trials if r.outcome is not None)


class Told(logging.Handler):
    """Passes a logger's warnings on to a watcher: ``with Told(watcher, "gantune.data"): ...``"""

    def __init__(self, watcher: Watcher, logger: str) -> None:
        super().__init__(logging.WARNING)
        self._watcher, self._logger = watcher, logging.getLogger(logger)

    def emit(self, record: logging.LogRecord) -> None:
        """Says one warning."""
        self._watcher.say(record.getMessage())

    def __enter__(self) -> None:
        self._logger.addHandler(self)

    def __exit__(self, *_: object) -> None:
        self._logger.removeHandler(self)


class Watcher:
    """What a search tells while it goes on; this one is silent. Terminals override it."""

    def say(self, text: str) -> None:
        """A line for the user: what was found, begun, stopped or ended."""

    def progress(self, what: str, done: int, total: int) -> None:
        """How far a preparation is, such as decoding images."""

    def refresh(self, state: RunState) -> None:
        """The search's state, a few times a second."""
