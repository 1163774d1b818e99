"""``ShownStorage``: a run's storage as the dashboard sees it, with figures and without writing."""

from __future__ import annotations

from collections.abc import Callable, Container, Mapping, Sequence
from typing import Any, NoReturn

from optuna.distributions import BaseDistribution
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from gantune.errors import RunError

__all__ = ["ShownStorage"]

Attributes = Callable[[], Mapping[str, Any]]


class ShownStorage(BaseStorage):
    """The studies of one run out of ``storage``, the first with further system attributes.

    Reading is passed on. Writing raises ``RunError``: a search's driver alone writes its study.
    """

    def __init__(self, storage: BaseStorage, studies: Sequence[str], added: Attributes) -> None:
        self._storage, self._studies, self._added = storage, tuple(studies), added

    def get_all_studies(self) -> list[FrozenStudy]:
        """The run's studies in their order, the first with what is added."""
        found = {study.study_name: study for study in self._storage.get_all_studies()}
        studies = [found[name] for name in self._studies if name in found]
        if studies:
            studies[0].system_attrs = {**studies[0].system_attrs, **self._added()}
        return studies

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        """Those of the storage."""
        return self._storage.get_study_system_attrs(study_id)

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        """Those of the storage."""
        return self._storage.get_study_user_attrs(study_id)

    def get_study_id_from_name(self, study_name: str) -> int:
        """That of the storage."""
        return self._storage.get_study_id_from_name(study_name)

    def get_study_name_from_id(self, study_id: int) -> str:
        """That of the storage."""
        return self._storage.get_study_name_from_id(study_id)

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        """Those of the storage."""
        return self._storage.get_study_directions(study_id)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        """That of the storage."""
        return self._storage.get_trial(trial_id)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        """Those of the storage."""
        return self._storage.get_all_trials(study_id, deepcopy, states)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        """Refused."""
        _refuse()

    def delete_study(self, study_id: int) -> None:
        """Refused."""
        _refuse()

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse()

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse()

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        """Refused."""
        _refuse()

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        """Refused."""
        _refuse()

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        """Refused."""
        _refuse()

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        """Refused."""
        _refuse()

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse()

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        """Refused."""
        _refuse()


def _refuse() -> NoReturn:
    raise RunError("the dashboard shows a run and writes nothing into its study")
