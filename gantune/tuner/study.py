"""The Optuna studies of a run, their samplers and pruners, and the notes of dashboards in them.

A run has two studies: ``<name>`` holds the trials and trains the sampler, ``<name>.finalists``
holds the finalists, which must not. The driver is the only writer.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import optuna
from optuna.pruners import BasePruner
from optuna.samplers import BaseSampler, RandomSampler
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, Trial, TrialState

from gantune.errors import RunError
from gantune.space.settings import Sampler
from gantune.trial.records import Kind, Outcome, TrialRecord
from gantune.tuner.observed import (
    NumberedQMCSampler,
    ObservedStudy,
    OneSpaceTPESampler,
    RedrawnTrial,
)

_EXPERIMENTAL = optuna.exceptions.ExperimentalWarning
_STATES = {"completed": TrialState.COMPLETE, "crashed": TrialState.FAIL}
_NOTE_PART = 2045  # characters; the most that optuna-dashboard stores in one attribute, for MySQL
_NOTE_VERSION = 1  # each change by a person in the dashboard adds one


class _Parsed(NamedTuple):
    """A trial's record, and what it was made from."""

    source: FrozenTrial
    outcome: Mapping[str, Any] | None
    record: TrialRecord

    def is_of(self, trial: FrozenTrial) -> bool:
        """Whether it is the record of a trial that a database has read again: one that has ended,
        or is paused as it was. Storages copy a trial to change it, but Optuna writes attributes
        into the earlier copies too, so these tell nothing."""
        return bool(self.outcome) and _outcome_of(trial) == self.outcome


def _outcome_of(trial: FrozenTrial) -> Mapping[str, Any] | None:
    found: Mapping[str, Any] | None = trial.user_attrs.get(
        "outcome" if trial.state.is_finished() else "paused"
    )
    return found


class Study:
    """One Optuna study, with the few operations that the driver and the reports need."""

    def __init__(self, study: optuna.Study, kind: Kind) -> None:
        self._study, self.kind = study, kind
        self._parsed: dict[int, _Parsed] = {}

    @classmethod
    def open(cls, storage: BaseStorage, name: str, kind: Kind) -> Study:
        """The study of that name; created if it does not exist."""
        optuna.create_study(
            storage=storage, study_name=name, direction="minimize", load_if_exists=True
        )
        return cls(ObservedStudy(name, storage), kind)

    @classmethod
    def read(cls, storage: BaseStorage, name: str, kind: Kind) -> Study | None:
        """The study of that name, or ``None``; writes nothing."""
        try:
            return cls(ObservedStudy(name, storage), kind)
        except KeyError:
            return None

    @property
    def attributes(self) -> dict[str, Any]:
        """The study's user attributes."""
        return self._study.user_attrs

    def set_attribute(self, key: str, value: Any) -> None:
        """Sets a user attribute to a plain value, if it differs."""
        if self._study.user_attrs.get(key) != value:
            self._study.set_user_attr(key, value)

    def save_note(self, text: str, number: int | None = None) -> None:
        """Sets the Markdown note that dashboards show on the study, or on trial ``number``.

        A note that a person has edited in a dashboard stays as it is.
        """
        trial_id = None if number is None else self._frozen(number)._trial_id
        storage, study_id = self._study._storage, self._study._study_id
        known = storage.get_study_system_attrs(study_id)
        for key, value in note_attributes(text, trial_id, known).items():
            storage.set_study_system_attr(study_id, key, value)

    def attach(self, number: int, artifacts: Mapping[str, str]) -> None:
        """Adds artifacts, by identity with the file's name, to a trial that has not ended."""
        trial_id, storage = self._frozen(number)._trial_id, self._study._storage
        known = storage.get_trial_system_attrs(trial_id)
        for identity, filename in artifacts.items():
            key = f"artifacts:{identity}"
            if key not in known:
                kind = {"mimetype": "image/png", "encoding": None}
                meta = {"artifact_id": identity, "filename": filename, **kind}
                storage.set_trial_system_attr(trial_id, key, json.dumps(meta))

    def artifact_url(self, number: int, identity: str) -> str:
        """The path under which a dashboard serves an artifact of a trial."""
        trial_id = self._frozen(number)._trial_id
        return f"/artifacts/{self._study._study_id}/{trial_id}/{identity}"

    def enqueue(self, params: Mapping[str, Any], **attributes: Any) -> None:
        """Queues a trial with fixed parameters for ``ask``."""
        self._study.enqueue_trial(dict(params), user_attrs=attributes)

    def ask(self, sampler: BaseSampler | None = None) -> Trial:
        """The next trial of the queue, or a new one whose parameters ``sampler`` draws."""
        self._study.sampler = sampler or self._study.sampler
        return self._study.ask()

    def redraw(self, number: int, sampler: BaseSampler) -> Trial:
        """A trial whose driver was killed before all its parameters were drawn."""
        self._study.sampler = sampler
        self._study._thread_local.cached_all_trials = None  # so that it looks anew, as for ``ask``
        return RedrawnTrial(self._study, self._frozen(number)._trial_id)

    def trial(self, number: int) -> Trial:
        """A running trial."""
        return Trial(self._study, self._frozen(number)._trial_id)

    @property
    def count(self) -> int:
        """Number of all trials, those in the queue included."""
        return self._study._storage.get_n_trials(self._study._study_id)

    @property
    def start_points(self) -> int:
        """Number of ``start`` entries that were ever in the queue."""
        return sum("start" in t.user_attrs for t in self._study.get_trials(deepcopy=False))

    def numbers(self, *states: TrialState) -> list[int]:
        """Numbers of the trials in any of the states."""
        return [t.number for t in self._study.get_trials(deepcopy=False, states=states or None)]

    def report(self, number: int, rung: float, score: float, error: float | None = None) -> None:
        """Stores the score of a rung and its standard error, unless the rung has one."""
        step = round(100 * rung)  # in percent, so that all budgets share steps
        trial = self.trial(number)
        if step in self._frozen(number).intermediate_values:
            return
        if error is not None:  # before the score, which says that the rung is stored
            known = trial.user_attrs.get("rung_errors", {})
            trial.set_user_attr("rung_errors", {**known, str(step): error})
        trial.report(score, step)

    def pause(self, number: int, outcome: Outcome) -> None:
        """Keeps a trial that stopped at a rung as a running one with the attribute ``paused``."""
        trial = self.trial(number)
        known = trial.user_attrs.get("pauses", [])
        pauses = [pause for pause in known if pause[1] is not None]  # a kill left an open one
        trial.set_user_attr("pauses", [*pauses, [time.time(), None]])
        trial.set_user_attr("paused", outcome.to_dict())

    def set_promoted(self, number: int, percent: int) -> None:
        """Stores that a running trial goes on after a rung, so that it does after a kill too."""
        self.trial(number).set_user_attr("promoted", percent)

    def promote(self, number: int, percent: int) -> None:
        """Makes a paused trial a running one again, promoted from a rung.

        After a kill in between it is still paused, or a running trial that reports the rung again.
        """
        trial = self.trial(number)
        *earlier, (start, _) = trial.user_attrs["pauses"]
        trial.set_user_attr("pauses", [*earlier, [start, time.time()]])
        trial.set_user_attr("paused", None)
        trial.set_user_attr("promoted", percent)

    def should_prune(self, number: int, pruner: BasePruner) -> bool:
        """Whether ``pruner`` stops the trial at the rung that was reported last."""
        return pruner.prune(self._study, self._frozen(number))

    def tell(self, number: int, outcome: Outcome, budget_kimg: float) -> None:
        """Ends a trial; its outcome and how unstable it was are stored first."""
        trial = self.trial(number)
        trial.set_user_attr("outcome", outcome.to_dict())
        with warnings.catch_warnings(action="ignore", category=_EXPERIMENTAL):
            if "stable" not in self._frozen(number).constraints:
                trial.set_constraint("stable", severity(outcome, budget_kimg))
        if outcome.score is not None:
            self._study.tell(trial, outcome.score.value, state=TrialState.COMPLETE)
        else:
            self._study.tell(trial, state=_STATES.get(outcome.ending, TrialState.PRUNED))

    def records(self) -> list[TrialRecord]:
        """All trials that were handed out, in order of their numbers.

        Parses only those that have changed since the last call.
        """
        trials, parsed = self._study.get_trials(deepcopy=False), self._parsed
        for trial in trials:
            earlier = parsed.get(trial.number)
            if earlier is None or not (earlier.source is trial or earlier.is_of(trial)):
                parsed[trial.number] = _Parsed(trial, _outcome_of(trial), self._record(trial))
        return [parsed[t.number].record for t in trials if t.state != TrialState.WAITING]

    def record(self, number: int) -> TrialRecord:
        """One trial, in a time that does not grow with the study."""
        return self._record(self._frozen(number))

    def _record(self, trial: FrozenTrial) -> TrialRecord:
        attributes, outcome = trial.user_attrs, _outcome_of(trial)
        return TrialRecord(
            name=f"{self.kind}s/{trial.number:04d}",
            number=trial.number,
            params=trial.params,
            budget_kimg=attributes.get("budget_kimg", 0.0),
            rungs=dict(trial.intermediate_values),
            rung_errors={int(p): e for p, e in attributes.get("rung_errors", {}).items()},
            outcome=Outcome.from_dict(outcome) if outcome else None,
            promoted=attributes.get("promoted", 0),
            pauses=tuple((start, end) for start, end in attributes.get("pauses", ())),
            is_start=bool(attributes.get("start", False)),
            origin=attributes.get("origin"),
            seed=attributes.get("seed"),
            begun=trial.datetime_start.timestamp() if trial.datetime_start else None,
            ended=trial.datetime_complete.timestamp() if trial.datetime_complete else None,
        )

    def _frozen(self, number: int) -> FrozenTrial:
        storage, study = self._study._storage, self._study
        try:
            trial_id = storage.get_trial_id_from_study_id_trial_number(study._study_id, number)
            return storage.get_trial(trial_id)
        except KeyError:
            raise RunError(f"study {study.study_name!r} has no trial {number}") from None


def note_attributes(
    text: str, trial_id: int | None, known: Mapping[str, Any]
) -> Mapping[str, str | int]:
    """The system attributes that make ``text`` optuna-dashboard's note on a study or a trial.

    ``known``: the study's system attributes; those that are equal are left out. Empty where a
    person has edited the note. The dashboard's own ``save_note`` is not used, because importing it
    takes seconds.
    """
    prefix = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    if known.get(f"{prefix}note_ver", _NOTE_VERSION) > _NOTE_VERSION:
        return {}
    parts = [text[start : start + _NOTE_PART] for start in range(0, len(text), _NOTE_PART)]
    wanted: dict[str, str | int] = {f"{prefix}note_str:{k}": part for k, part in enumerate(parts)}
    wanted |= {f"{prefix}note_ver": _NOTE_VERSION}
    left = len(parts)
    while known.get(f"{prefix}note_str:{left}"):  # of a longer note before
        wanted[f"{prefix}note_str:{left}"] = ""
        left += 1
    return {key: value for key, value in wanted.items() if known.get(key) != value}


def severity(outcome: Outcome, budget_kimg: float) -> float:
    """How unstable a run was, for the sampler: -1 if stable, else larger the earlier it broke.

    A run with a score counts as stable, whatever came after it; so does one pruned by rank.
    """
    if outcome.score is not None or outcome.ending in ("completed", "pruned"):
        return -1.0
    return 2.0 - min(outcome.kimg / budget_kimg, 1.0)


def make_sampler(sampler: Sampler, number: int) -> BaseSampler:
    """The sampler that draws trial ``number``.

    Each trial has its own seed, or its own point of one quasi-random sequence, so what is drawn
    depends on the study alone and not on when its driver was started.
    """
    seed = int(np.random.SeedSequence([sampler.seed, number]).generate_state(1)[0])
    if sampler.name == "random":
        return RandomSampler(seed=seed)
    if sampler.name == "qmc":
        return NumberedQMCSampler(number, sampler.seed, seed)
    return OneSpaceTPESampler(seed=seed)
