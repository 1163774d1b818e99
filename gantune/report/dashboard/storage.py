"""``ReadOnlyStorage``: a run's storage for the dashboard, read-only and with figures."""

import copy
import math
from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NoReturn

from optuna.distributions import CategoricalDistribution as Choices
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from gantune.errors import RunError
from gantune.report.analysis.outcomes import ENDINGS
from gantune.trial.records import Outcome

Attributes = Callable[[], Mapping[str, Any]]


class ReadOnlyStorage(BaseStorage):
    """The studies of one run in ``storage``.

    The first study has additional system attributes, and trials have their outcomes in words.
    Other reads are passed on. Writes raise ``RunError``: only a search's driver writes its study.
    """

    def __init__(self, storage: BaseStorage, studies: Sequence[str], added: Attributes) -> None:
        self._storage, self._studies, self._added = storage, tuple(studies), added

    def get_all_studies(self) -> list[FrozenStudy]:
        """The run's studies in their order, the first with the additional attributes."""
        found = {study.study_name: study for study in self._storage.get_all_studies()}
        studies = [found[name] for name in self._studies if name in found]
        if studies:
            studies[0].system_attrs = {**studies[0].system_attrs, **self._added()}
        return studies

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """The trial with its outcome in words."""
        return _in_words(self._storage.get_trial(trial_id))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """All trials, each with its outcome in words."""
        trials = self._storage.get_all_trials(study_id, deepcopy=False, states=states)
        return [_in_words(trial) for trial in trials]

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_system_attrs(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._storage.get_study_user_attrs(study_id)

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._storage.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._storage.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._storage.get_study_directions(study_id)

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise RunError("the dashboard is read-only: it writes nothing into the study")

    create_new_study = delete_study = set_study_user_attr = set_study_system_attr = _refuse
    create_new_trial = set_trial_param = set_trial_state_values = _refuse
    set_trial_intermediate_value = set_trial_user_attr = set_trial_system_attr = _refuse


def _in_words(trial: FrozenTrial) -> FrozenTrial:
    """A copy with rounded numbers, and its outcome in short attributes instead of a long one."""
    shown = copy.copy(trial)
    stored = trial.user_attrs
    left_out = ("outcome", "paused", "pauses")
    shown.user_attrs = {key: value for key, value in stored.items() if key not in left_out}
    if (tree := stored.get("outcome") or stored.get("paused")) is not None:
        outcome = Outcome.from_dict(tree)
        score, verdict = outcome.score, outcome.verdict
        words = {"ending": ENDINGS[outcome.ending], "kimg": outcome.kimg}
        if verdict is not None:
            words |= {"rule": verdict.rule, "verdict": verdict.sentence}
        if score is not None:
            words |= {"recall": score.recall, "coverage": score.coverage, "kid": score.kid}
        shown.user_attrs |= {key: value for key, value in words.items() if value is not None}
    shown.user_attrs = {key: _rounded(value) for key, value in shown.user_attrs.items()}
    shown.params = {
        name: value if isinstance(trial.distributions[name], Choices) else _rounded(value)
        for name, value in trial.params.items()
    }
    shown.intermediate_values = {k: _rounded(v) for k, v in trial.intermediate_values.items()}
    if trial.values is not None:
        shown.values = [_rounded(value) for value in trial.values]
    return shown


def _rounded(value: Any) -> Any:
    """A number as a reader takes it, at four significant digits; anything else as it is."""
    if isinstance(value, Mapping):
        return {key: _rounded(each) for key, each in value.items()}
    is_fraction = isinstance(value, float) and math.isfinite(value)
    return float(f"{value:.4g}") if is_fraction else value
