"""``RunData``: the state, space, curves and tables of a search, as figures and pages take them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from gantune.config import AnyConfig, load_any_config
from gantune.errors import GantuneError
from gantune.io.formatting import whole_number
from gantune.report.analysis.curves import RunCurves, read_curves
from gantune.report.analysis.hyperparameters import (
    Importance,
    hyperparameter_importance,
    read_hyperparameters,
)
from gantune.report.analysis.outcomes import SLOW, ending_of
from gantune.report.analysis.stability import Stability, find_regions
from gantune.report.selection import find_record
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores.text import extra_metrics
from gantune.space import SearchSpace, load_space
from gantune.trial.records import TrialRecord
from gantune.tuner.state import RunState

if TYPE_CHECKING:
    from pandas import DataFrame

_FEW = 300  # trials; of more, fewer points of each curve are drawn
_POINTS, _POINTS_OF_MANY = 80, 30


class RunData:
    """A search at one moment, and what is read from its files on first access.

    A trial is named by its number, a finalist's training by its folder, ``"finalists/0002"``.
    Methods raise ``RunError`` for a trial that does not exist.
    """

    def __init__(self, state: RunState) -> None:
        self.state = state
        """All that the studies hold; what ``gantune.search`` returns."""

    @property
    def folder(self) -> RunFolder:
        """The run folder."""
        return self.state.folder

    @property
    def status(self) -> Literal["ended", "running", "stopped"]:
        """The state of the search in one word."""
        return "ended" if self.state.is_over else "running" if self.folder.is_running else "stopped"

    @cached_property
    def space(self) -> SearchSpace | None:
        """The space that was searched; ``None`` where its file cannot be read."""
        try:
            return load_space(self.folder.space)
        except GantuneError:
            return None

    @cached_property
    def info(self) -> dict[str, Any]:
        """What it was started with: command, devices, versions; empty where that is not written."""
        try:
            return self.folder.read_info().model_dump()
        except GantuneError:
            return {}

    @cached_property
    def trials(self) -> DataFrame:
        """A row for each trial, by number: ``ending`` (``running`` before its end), ``score``,
        ``kimg``, ``budget_kimg``, ``steps`` of the generator, ``seconds`` of training,
        ``scoring_seconds``, ``best_kimg``, ``rule`` and ``verdict`` of health, the other metrics of
        a score as in ``trials.csv``, ``rung_25`` and so on, and a column for each parameter."""
        return _table([_trial_row(record) for record in self.state.trials], "number")

    @cached_property
    def finals(self) -> DataFrame:
        """The same for the finalists' trainings, with ``trial``, whose config it is, and
        ``seed``."""
        records = self.state.finalists
        return _table(
            [{**_trial_row(r), "trial": r.origin, "seed": r.seed} for r in records], "number"
        )

    @cached_property
    def hyperparameters(self) -> dict[int, dict[str, Any]]:
        """Each trial's config by its number, as values by dotted path."""
        return {r.number: read_hyperparameters(r, self.space) for r in self.state.trials}

    @cached_property
    def curves(self) -> dict[str, RunCurves]:
        """The curves that figures draw, by the name of each training's folder; thinned."""
        most = _POINTS if len(self.state.trials) <= _FEW else _POINTS_OF_MANY
        records = (*self.state.trials, *self.state.finalists)
        return {r.name: read_curves(self.folder.trial(r.name), most) for r in records}

    @cached_property
    def stability(self) -> Stability:
        """The regions of the space where trials come apart, as far as the data support it."""
        return find_regions(self.state.trials, self.hyperparameters)

    @cached_property
    def slowness(self) -> Stability:
        """The regions of the space where trials are too slow, as far as the data support it."""
        return find_regions(self.state.trials, self.hyperparameters, SLOW, "were too slow")

    @cached_property
    def importances(self) -> list[Importance]:
        """How much of the differences in rank each setting explains, with its uncertainty."""
        return hyperparameter_importance(self.state.trials)

    def ticks(self, trial: int | str) -> DataFrame:
        """Training signals of one run, a row for each tick: the fields of ``Tick`` (losses without
        penalties, D's outputs as logits, gradient norms, images per second), or what an external
        trainer reported. Penalties are columns such as ``penalties.r1``."""
        lines = []
        for line in self._trial_folder(trial).ticks():
            penalties = line.pop("penalties", None) or {}
            lines.append({**line, **{f"penalties.{k}": value for k, value in penalties.items()}})
        return _table(lines, columns=("kimg",))

    def scores(self, trial: int | str) -> DataFrame:
        """All scores of one run in order: ``kimg``, ``rung`` (share of the budget; missing for the
        full protocol), ``value`` and its other metrics."""
        lines = []
        for line in self._trial_folder(trial).scores():
            plain = {k: v for k, v in line.items() if not isinstance(v, Mapping)}
            lines.append({**plain, "protocol": line["protocol"]["hash"]})
        return _table(lines, columns=("kimg", "rung", "value"))

    def config(self, trial: int | str) -> AnyConfig:
        """The whole config of one run. Raises ``ConfigError`` where its file is damaged."""
        return load_any_config(self._trial_folder(trial).config)

    def record(self, trial: int | str) -> TrialRecord:
        """One run as the study holds it."""
        if isinstance(trial, int):
            return find_record(self.state, trial)
        for record in (*self.state.trials, *self.state.finalists):
            if record.name == trial:
                return record
        number = whole_number(trial.rpartition("/")[2])
        return find_record(self.state, -1 if number is None else number)

    def _trial_folder(self, trial: int | str) -> TrialFolder:
        return self.folder.trial(self.record(trial).name)


def _trial_row(record: TrialRecord) -> dict[str, Any]:
    outcome = record.outcome
    verdict = outcome.verdict if outcome else None
    return {
        "number": record.number,
        "ending": ending_of(record),
        "score": record.value,
        **extra_metrics(record.score),
        "kimg": outcome.kimg if outcome else None,
        "budget_kimg": record.budget_kimg,
        "steps": outcome.step if outcome else None,
        "seconds": outcome.seconds if outcome else None,
        "scoring_seconds": outcome.scoring_seconds if outcome else None,
        "best_kimg": outcome.best_kimg if outcome else None,
        "rule": verdict.rule if verdict else None,
        "verdict": verdict.sentence if verdict else None,
        "is_start": record.is_start,
        **{f"rung_{percent}": value for percent, value in sorted(record.rungs.items())},
        **record.params,
    }


def _table(
    rows: Sequence[Mapping[str, Any]], index: str | None = None, columns: Sequence[str] = ()
) -> DataFrame:
    import pandas as pd

    names = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    if index is not None and index not in names:
        names.append(index)
    table = pd.DataFrame(list(rows), columns=names)
    return table if index is None else table.set_index(index)
