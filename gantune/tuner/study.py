"""The Optuna studies of a run: opening, checking, reading and writing them.

A run has two: ``<name>`` holds the trials and teaches the sampler, ``<name>.finalists`` holds the
finalists, which must not. The driver is the only writer.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
import optuna
from optuna.pruners import BasePruner, MedianPruner, NopPruner
from optuna.samplers import BaseSampler, QMCSampler, RandomSampler, TPESampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from gantune.errors import RunError
from gantune.space import Pruning, Sampler
from gantune.trial.records import Kind, Outcome
from gantune.tuner.artifacts import Picture, note_attributes
from gantune.tuner.records import TrialRecord

_STATES = {"completed": TrialState.COMPLETE, "crashed": TrialState.FAIL}


class Study:
    """One Optuna study, with the few operations that the driver and the reports need."""

    def __init__(self, study: optuna.Study, kind: Kind) -> None:
        self._study, self.kind = study, kind
        self._ended: dict[int, TrialRecord] = {}

    @classmethod
    def open(cls, storage: BaseStorage, name: str, kind: Kind) -> Study:
        """The study of that name, made if it is not there."""
        study = optuna.create_study(
            storage=storage, study_name=name, direction="minimize", load_if_exists=True
        )
        return cls(study, kind)

    @classmethod
    def read(cls, storage: BaseStorage, name: str, kind: Kind) -> Study | None:
        """The study of that name, or ``None``; writes nothing."""
        try:
            return cls(optuna.load_study(study_name=name, storage=storage), kind)
        except KeyError:
            return None

    @property
    def attributes(self) -> dict[str, Any]:
        """What is noted on the study."""
        return self._study.user_attrs

    def set_attribute(self, key: str, value: Any) -> None:
        """Notes a plain value on the study, if it is new."""
        if self._study.user_attrs.get(key) != value:
            self._study.set_user_attr(key, value)

    def save_note(self, text: str, number: int | None = None) -> None:
        """The note, in Markdown, that dashboards show on the study or on one of its trials.

        One that a person has changed there stays as it is.
        """
        trial_id = None if number is None else self._frozen(number)._trial_id
        storage, study_id = self._study._storage, self._study._study_id
        known = storage.get_study_system_attrs(study_id)
        for key, value in note_attributes(text, trial_id, known).items():
            storage.set_study_system_attr(study_id, key, value)

    def attach(self, number: int, pictures: Sequence[Picture]) -> None:
        """Notes pictures, as Optuna's artifacts, on a trial that has not ended."""
        trial = self._frozen(number)
        storage = self._study._storage
        known = storage.get_trial_system_attrs(trial._trial_id)
        for picture in pictures:
            if picture.key not in known:
                storage.set_trial_system_attr(trial._trial_id, picture.key, picture.meta)

    def picture_url(self, number: int, picture: Picture) -> str:
        """Where a dashboard serves a trial's picture."""
        trial_id = self._frozen(number)._trial_id
        return f"/artifacts/{self._study._study_id}/{trial_id}/{picture.identity}"

    def enqueue(self, params: Mapping[str, Any], **notes: Any) -> None:
        """Puts a trial with fixed parameters in line for ``ask``."""
        self._study.enqueue_trial(dict(params), user_attrs=notes)

    def ask(self, sampler: BaseSampler | None = None) -> Trial:
        """A new trial whose parameters ``sampler`` draws, or the next one in line."""
        self._study.sampler = sampler or self._study.sampler
        return self._study.ask()

    def trial(self, number: int, sampler: BaseSampler | None = None) -> Trial:
        """A running trial again, after its driver was restarted."""
        self._study.sampler = sampler or self._study.sampler
        return Trial(self._study, self._frozen(number)._trial_id)

    def numbers(self, *states: TrialState) -> list[int]:
        """Numbers of the trials in any of the states."""
        return [t.number for t in self._study.get_trials(deepcopy=False, states=states or None)]

    def report(self, number: int, percent: int, score: float) -> None:
        """A rung's score; the second one of a rung is ignored."""
        trial = self.trial(number)
        if percent not in self._frozen(number).intermediate_values:
            trial.report(score, percent)

    def should_prune(self, number: int, pruner: BasePruner) -> bool:
        """Whether ``pruner`` would stop the trial at the rung that was reported last."""
        return pruner.prune(self._study, self._frozen(number))

    def tell(self, number: int, outcome: Outcome, budget_kimg: float) -> None:
        """Ends a trial, with its outcome and how unstable it was noted before that."""
        trial = self.trial(number)
        trial.set_user_attr("outcome", outcome.to_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            if "stable" not in self._frozen(number).constraints:
                trial.set_constraint("stable", severity(outcome, budget_kimg))
        state = _STATES.get(outcome.ending, TrialState.PRUNED)
        if outcome.score is not None:
            self._study.tell(trial, outcome.score.value, state=TrialState.COMPLETE)
        else:
            self._study.tell(trial, state=state)

    def records(self) -> list[TrialRecord]:
        """All trials that were handed out, by number."""
        trials = self._study.get_trials(deepcopy=False)
        return [self._record(trial) for trial in trials if trial.state != TrialState.WAITING]

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        if trial.number in self._ended:
            return self._ended[trial.number]
        notes = trial.user_attrs
        outcome = notes.get("outcome") if trial.state.is_finished() else None
        record = TrialRecord(
            name=f"{self.kind}s/{trial.number:04d}",
            number=trial.number,
            params=trial.params,
            budget_kimg=notes.get("budget_kimg", 0.0),
            rungs=dict(trial.intermediate_values),
            outcome=Outcome.from_dict(outcome) if outcome else None,
            is_start=bool(notes.get("start", False)),
            origin=notes.get("origin"),
            seed=notes.get("seed"),
            begun=_seconds(trial.datetime_start),
            ended=_seconds(trial.datetime_complete),
        )
        if record.outcome is not None:
            self._ended[trial.number] = record
        return record

    def _frozen(self, number: int) -> FrozenTrial:
        trials = self._study.get_trials(deepcopy=False)
        try:
            return trials[number]
        except IndexError:
            raise RunError(f"study {self._study.study_name!r} has no trial {number}") from None


def _seconds(time: datetime | None) -> float | None:
    """Optuna's local time as seconds since 1970."""
    return None if time is None else time.timestamp()


def severity(outcome: Outcome, budget_kimg: float) -> float:
    """How unstable a run was, for the sampler: -1 if not at all, else larger the earlier it broke.

    A run with a score counts as stable whatever came after it; so does one pruned by rank.
    """
    if outcome.score is not None or outcome.ending in ("completed", "pruned"):
        return -1.0
    return 2.0 - min(outcome.kimg / budget_kimg, 1.0)


# The samplers by name, seeded per trial so that a restart changes nothing that is drawn.


def make_sampler(sampler: Sampler, number: int) -> BaseSampler:
    """The sampler that draws trial ``number``.

    TPE and random draws get a seed of their own for every trial, so what is drawn depends on the
    study alone and not on when its driver was started. QMC's points are one sequence of one seed;
    how far it is stands in the study.
    """
    seed = int(np.random.SeedSequence([sampler.seed, number]).generate_state(1)[0])
    if sampler.name == "random":
        return RandomSampler(seed=seed)
    if sampler.name == "qmc":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return QMCSampler(
                scramble=True,
                seed=sampler.seed,
                warn_asynchronous_seeding=False,
                warn_independent_sampling=False,
            )
    return TPESampler(seed=seed)


# Rungs: where a trial is scored, and which trials stop there because others did better.


def rungs_of(pruning: Pruning) -> tuple[float, ...]:
    """The points of scoring as shares of the budget; the end is always one."""
    return (*sorted({share for share in pruning.rungs if share < 1}), 1.0)


def percent(rung: float) -> int:
    """A rung as Optuna's step: whole percent of the budget, so that all budgets share steps."""
    return round(100 * rung)


def make_pruner(pruning: Pruning) -> BasePruner:
    """Optuna's pruner for the space's rule: ``median`` or ``none``."""
    if pruning.rule == "median":
        return MedianPruner(n_startup_trials=pruning.startup)
    return NopPruner()
