"""``RunState``: everything known about a search at one moment, and reading it from disk."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from gantune.errors import RunError, ScoreError
from gantune.events import LogFileObserver, Observer
from gantune.io.trust import check_database
from gantune.run_folder.run import RunFolder, read_protocol, read_rung_protocol
from gantune.scores.score import Protocol, warnings
from gantune.space import SearchSpace, load_space
from gantune.trial.records import TrialRecord
from gantune.tuner.budget import Ledger, budget_key
from gantune.tuner.finals.finalists import (
    FinalistResult,
    most_finalists,
    plan_finalists,
    rank_finalists,
    survivors,
)
from gantune.tuner.finals.margins import Margin, read_margins
from gantune.tuner.storage import close_storage, open_storage
from gantune.tuner.study import Study


@dataclass(frozen=True)
class Timing:
    """The time that a search has taken, over all its starts."""

    seconds: float = 0.0
    """Since the start of its first workers."""
    preparing_seconds: float = 0.0
    """Before that: preparing the feature extractor and the features of the real images."""
    workers: int = 1
    """Trials at a time, at its last start."""
    warmup_seconds: float = 0.0
    """Part of ``seconds``, summed over workers: before their first trials they load the extractor
    and the features of the real images, and take one score."""


@dataclass(frozen=True)
class RunState:
    """A search at one moment, for the live view, ``status`` and the summary."""

    study: str
    """Name of the study."""
    folder: RunFolder
    """The run folder; ``folder.best`` is its ``best.yaml``."""
    trials: tuple[TrialRecord, ...]
    """Trials by number; running ones have no outcome."""
    finalists: tuple[TrialRecord, ...]
    """Trainings of finalists by number."""
    ranking: tuple[FinalistResult, ...]
    """Finalists, best first; empty before one has a score."""
    winner: FinalistResult | None
    """The first of the ranking once all finals have ended."""
    planned_trials: int | None
    """``None`` where no number of trials limits the search."""
    planned_finalists: int
    """The largest number of trainings of finalists."""
    timing: Timing
    """The time that the search has taken."""
    is_over: bool
    """Whether nothing is left to train."""
    expected_kimg: float | None = None
    """Kimg that all trials will have trained, where the mean length of those so far does not say
    it: with halving."""
    kimg_limit: float | None = None
    """``budget.kimg``."""
    time_limit: float | None = None
    """``budget.time`` in seconds."""

    @property
    def seconds(self) -> float:
        """Seconds since the start of its first workers, over all its starts."""
        return self.timing.seconds

    @property
    def rung_protocol(self) -> Protocol | None:
        """The protocol of scores at rungs, from ``run.json``; ``None`` before that is written."""
        return read_rung_protocol(self.folder)

    @property
    def best(self) -> TrialRecord | None:
        """The best trial: the winner's, or the best survivor before there is a winner."""
        if self.winner is not None:
            return self.trials[self.winner.origin]
        return self.survivors[0] if self.survivors else None

    @property
    def best_training(self) -> TrialRecord | None:
        """The training whose checkpoint is handed out: of the winner's trial and its finals, the
        one with the best score. Before there is a winner it is the best trial.

        Those whose checkpoint is there come first, then those whose score has no warnings. Finals
        of another length count too: their scores are of the same protocol.
        """
        if self.winner is None:
            return self.best
        finals = [record for record in self.finalists if record.origin == self.winner.origin]

        def order(record: TrialRecord) -> tuple[bool, bool, float]:
            home = self.folder.trial(record.name)
            assert record.score is not None
            is_kept = home.best.exists() or home.external_best.exists()
            return not is_kept, bool(warnings(record.score)), record.score.value

        records = (self.trials[self.winner.origin], *finals)
        return min((r for r in records if r.score is not None), key=order)

    @cached_property
    def survivors(self) -> list[TrialRecord]:
        """Trials with a score under the full protocol, best first."""
        return survivors(self.trials)

    @cached_property
    def margins(self) -> dict[int, tuple[Margin, ...]]:
        """How far the winner's rates, and those of the trial that ties with it, stand from failing,
        by number of the trial; trained at the length of their finals."""
        lengths = {record.origin: record.budget_kimg for record in self.finalists}
        known = read_margins(self.folder).items()
        return {n: one.margins for n, one in known if one.length == lengths.get(n)}

    @property
    def running(self) -> list[TrialRecord]:
        """Trials and finalists that have not ended."""
        return [r for r in (*self.trials, *self.finalists) if r.outcome is None]

    @property
    def outcome_counts(self) -> Counter[str]:
        """The number of trials by outcome."""
        return Counter(r.outcome.ending for r in self.trials if r.outcome is not None)

    @property
    def paused(self) -> list[TrialRecord]:
        """Trials that wait at a rung for their promotion."""
        return [record for record in self.trials if record.is_paused]


class SearchObserver(Observer):
    """An observer that also receives the state of a search."""

    def refresh(self, state: RunState) -> None:
        """Receives the search's state, a few times a second."""


class SearchLogObserver(LogFileObserver, SearchObserver):
    """A log file's observer that passes the state of the search on too."""

    def __init__(self, observer: SearchObserver, log: Path) -> None:
        super().__init__(observer, log)
        self._search_observer = observer

    def refresh(self, state: RunState) -> None:
        """Passes it on."""
        self._search_observer.refresh(state)


def make_state(
    space: SearchSpace,
    folder: RunFolder,
    trials: Sequence[TrialRecord],
    finalists: Sequence[TrialRecord],
    spent: Timing,
    are_trials_over: bool,
) -> RunState:
    """Builds the state of a search from its space and the records of its studies.

    ``are_trials_over``: every trial has ended and none may follow, so that the finals are known.
    """
    ranking = rank_finalists(finalists, trials, space.finalists)
    are_settled = are_trials_over and all(record.outcome is not None for record in trials)
    plan = plan_finalists(space, trials)
    ended = {(r.origin, r.seed, r.budget_kimg) for r in finalists if r.outcome is not None}
    has_idle_finals = all(record.outcome is not None for record in finalists)
    is_over = are_settled and has_idle_finals and all(run in ended for run in plan)
    if is_over:  # a finalist that left the plan may have been trained on fewer seeds
        ranking = [r for r in ranking if {run.seed for run in plan} <= set(r.seeds)]
    return RunState(
        study=space.study,
        folder=folder,
        trials=tuple(trials),
        finalists=tuple(finalists),
        ranking=tuple(ranking),
        winner=ranking[0] if ranking and plan and is_over else None,
        planned_trials=space.budget.trials,
        planned_finalists=len(plan) if are_settled else most_finalists(space, trials),
        timing=spent,
        is_over=is_over,
        expected_kimg=Ledger(space, trials, finalists, spent.seconds, spent.workers).expected_kimg,
        kimg_limit=space.budget.kimg,
        time_limit=space.budget.time,
    )


class RunReader:
    """Reads the state of a run repeatedly, whether it is running, stopped or ended.

    A context manager: the storage stays open, and trials that have ended are read once.
    It creates nothing. ``storage_url``: the run's storage with the password, if known. Raises
    ``RunError`` where there is no run or another version wrote it, and ``TrustError`` where it
    names a database that the user has never named.
    """

    def __init__(self, folder: RunFolder, storage_url: str | None = None) -> None:
        self.folder = folder
        self.info = folder.read_info()
        read_protocol(folder)
        self.space = load_space(folder.space)
        if self.info.storage is None and not folder.journal.exists():
            raise RunError(f"{folder.path}: has not started; run its search first")
        if storage_url is None and self.info.storage is not None:
            check_database(self.info.storage, str(folder.info))
        self.storage = open_storage(folder, storage_url or self.info.storage, writes=False)
        self._trials: Study | None = None
        self._finals: Study | None = None

    def __enter__(self) -> RunReader:
        return self

    def __exit__(self, *_: object) -> None:
        close_storage(self.storage)

    def state(self) -> RunState:
        """The state now. Parses only trials that ended since the last call, and writes nothing.

        Raises ``ScoreError`` where trials were scored under two protocols.
        """
        name = self.space.study
        self._trials = self._trials or Study.read(self.storage, name, "trial")
        self._finals = self._finals or Study.read(self.storage, f"{name}.finalists", "finalist")
        trials = self._trials.records() if self._trials else []
        finalists = self._finals.records() if self._finals else []
        info, stored = self.info, self._trials.attributes if self._trials else {}
        seconds = float(stored.get("seconds", 0.0))
        if self.folder.is_running and info.begun >= self.folder.locked_since:
            seconds = info.seconds_before + time.time() - info.begun
        warmup = float(stored.get("readying_seconds", 0.0))
        timing = Timing(seconds, info.preparing_seconds, len(info.devices), warmup)
        try:
            is_over = stored.get("closed") == budget_key(self.space)
            return make_state(self.space, self.folder, trials, finalists, timing, is_over)
        except ScoreError as error:
            raise ScoreError(f"{self.folder.path}: {error}") from None


def read_run(folder: RunFolder, storage_url: str | None = None) -> RunState:
    """Reads the state of a run once. Raises the errors of ``RunReader`` and its ``state``."""
    with RunReader(folder, storage_url) as reader:
        return reader.state()


def unscored_finalists(state: RunState) -> list[int]:
    """Numbers of the trials that were trained as finalists and have no score on any seed."""
    ranked = {finalist.origin for finalist in state.ranking}
    ended = {record.origin for record in state.finalists if record.outcome is not None}
    return sorted(origin for origin in ended if origin is not None and origin not in ranked)
