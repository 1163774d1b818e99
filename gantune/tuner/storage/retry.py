"""Patience with a server that is away: what is asked of it is asked again for a while."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from typing import Any, TypeVar
from uuid import uuid4

from optuna.distributions import BaseDistribution
from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.study import StudyDirection
from optuna.study._frozen import FrozenStudy
from optuna.trial import FrozenTrial, TrialState

from gantune.errors import RunError
from gantune.io.processes import held

_LONGEST_PAUSE = 5.0  # seconds from one try to the next


T = TypeVar("T")


class TransientError(Exception):
    """A server does not answer for now; its text says why, without a password."""


@dataclass(frozen=True)
class Terms:
    """How long a server is waited for, and what the user is told after that."""

    seconds: float
    remedy: str
    pause: float = 0.2
    """Seconds before the second try; every other pause is twice the one before."""


class Retrier:
    """Tries operations on one server until they succeed, the time is over, or it is interrupted.

    ``name``: the server as it may be shown. ``say`` is told once when it is away and once when it
    is back. After giving up it tries everything once only: what ends a search does not wait again.
    """

    def __init__(self, name: str, terms: Terms, say: Callable[[str], None]) -> None:
        self._name, self._terms, self._say = name, terms, say
        self._has_given_up = False

    def call(self, operation: Callable[[int], T]) -> T:
        """What ``operation`` gives; its argument counts the tries from 0.

        Raises ``RunError`` once the server has been ``TransientError`` for too long.
        """
        begun = time.monotonic()
        for attempt in count():
            try:
                with held():
                    result = operation(attempt)
            except TransientError as away:
                self._pause(attempt, time.monotonic() - begun, str(away))
                continue
            if attempt:
                self._say(f"database reached again after {_span(time.monotonic() - begun)}")
            return result
        raise AssertionError("count() ends")

    def _pause(self, attempt: int, waited: float, reason: str) -> None:
        terms = self._terms
        if self._has_given_up or waited >= terms.seconds:
            self._has_given_up = True
            raise RunError(
                f"storage: {self._name} cannot be reached; tried for {_span(terms.seconds)}, the "
                f"last answer was: {reason}; {terms.remedy}"
            ) from None
        if attempt == 0:
            self._say(
                f"database {self._name} cannot be reached ({reason}); trying again for up to "
                f"{_span(terms.seconds)}"
            )
        pause = min(terms.pause * 2 ** min(attempt, 10), _LONGEST_PAUSE, terms.seconds - waited)
        try:
            time.sleep(pause)
        except BaseException:  # whoever interrupts does not want to wait at the end again
            self._has_given_up = True
            raise


def _span(seconds: float) -> str:
    """``5 minutes``, ``12 s``."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


# Optuna's storage in a database whose server may go away, written by one driver.
#
# An operation whose answer is lost has been done or not. Everything is therefore written so that
# doing it again changes nothing: a new trial carries a token by which it is found again.


_TOKEN = "gantune:token"


class PatientStorage(BaseStorage):
    """Passes everything on to ``inner``, patiently."""

    def __init__(self, inner: BaseStorage, patience: Retrier) -> None:
        self._inner, self.patience = inner, patience
        self._guard: Callable[[bool], None] | None = None
        self._known: dict[int, dict[int, FrozenTrial]] = {}

    @contextmanager
    def with_guard(self, guard: Callable[[bool], None]) -> Iterator[None]:
        """Has ``guard`` asked before every operation, with whether it writes; it raises once this
        process may not go on. Nobody else writes meanwhile, so trials are read after writes only.
        """
        self._guard = guard
        try:
            yield
        finally:
            self._guard, self._known = None, {}

    def _read(self, operation: Callable[[], T]) -> T:
        return self.patience.call(lambda _: self._guarded(operation, writes=False))

    def _write(self, operation: Callable[[], T]) -> T:
        return self._write_again(lambda _: operation())

    def _write_again(self, operation: Callable[[int], T]) -> T:
        """Of what must know whether it may have been done already."""
        self._known.clear()
        try:
            return self.patience.call(
                lambda attempt: self._guarded(lambda: operation(attempt), writes=True)
            )
        finally:
            self._known.clear()

    def _guarded(self, operation: Callable[[], T], *, writes: bool) -> T:
        self._check(writes=writes)
        return operation()

    def _check(self, *, writes: bool) -> None:
        if self._guard is not None:
            self._guard(writes)

    def create_new_study(
        self, directions: Sequence[StudyDirection], study_name: str | None = None
    ) -> int:
        return self._write(lambda: self._inner.create_new_study(directions, study_name))

    def delete_study(self, study_id: int) -> None:
        self._write(lambda: self._inner.delete_study(study_id))

    def set_study_user_attr(self, study_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_study_user_attr(study_id, key, value))

    def set_study_system_attr(self, study_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_study_system_attr(study_id, key, value))

    def get_study_id_from_name(self, study_name: str) -> int:
        return self._read(lambda: self._inner.get_study_id_from_name(study_name))

    def get_study_name_from_id(self, study_id: int) -> str:
        return self._read(lambda: self._inner.get_study_name_from_id(study_id))

    def get_study_directions(self, study_id: int) -> list[StudyDirection]:
        return self._read(lambda: self._inner.get_study_directions(study_id))

    def get_study_user_attrs(self, study_id: int) -> dict[str, Any]:
        return self._read(lambda: self._inner.get_study_user_attrs(study_id))

    def get_study_system_attrs(self, study_id: int) -> dict[str, Any]:
        return self._read(lambda: self._inner.get_study_system_attrs(study_id))

    def get_all_studies(self) -> list[FrozenStudy]:
        return self._read(self._inner.get_all_studies)

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        token = uuid4().hex
        template = copy.deepcopy(template_trial) if template_trial else _running()
        template.system_attrs[_TOKEN] = token

        def create(attempt: int) -> int:
            made = self._trial_with(token, study_id) if attempt else None
            return self._inner.create_new_trial(study_id, template) if made is None else made

        return self._write_again(create)

    def _trial_with(self, token: str, study_id: int) -> int | None:
        """The trial that a try made whose answer was lost."""
        trials = self._inner.get_all_trials(study_id, deepcopy=False)
        found = (t._trial_id for t in trials if t.system_attrs.get(_TOKEN) == token)
        return next(found, None)

    def set_trial_param(
        self,
        trial_id: int,
        param_name: str,
        param_value_internal: float,
        distribution: BaseDistribution,
    ) -> None:
        self._write(
            lambda: self._inner.set_trial_param(
                trial_id, param_name, param_value_internal, distribution
            )
        )

    def get_trial_id_from_study_id_trial_number(self, study_id: int, trial_number: int) -> int:
        return self._read(
            lambda: self._inner.get_trial_id_from_study_id_trial_number(study_id, trial_number)
        )

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        def change(attempt: int) -> bool:
            try:
                changed = self._inner.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if not attempt or not self._stands(trial_id, state, values):
                    raise
                return True
            return changed or (attempt > 0 and self._stands(trial_id, state, values))

        return self._write_again(change)

    def _stands(self, trial_id: int, state: TrialState, values: Sequence[float] | None) -> bool:
        """Whether a try whose answer was lost has done it."""
        trial = self._inner.get_trial(trial_id)
        is_same = values is None or list(values) == trial.values
        return trial.state == state and is_same

    def set_trial_intermediate_value(
        self, trial_id: int, step: int, intermediate_value: float
    ) -> None:
        self._write(
            lambda: self._inner.set_trial_intermediate_value(trial_id, step, intermediate_value)
        )

    def set_trial_user_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_trial_user_attr(trial_id, key, value))

    def set_trial_system_attr(self, trial_id: int, key: str, value: Any) -> None:
        self._write(lambda: self._inner.set_trial_system_attr(trial_id, key, value))

    def get_trial(self, trial_id: int) -> FrozenTrial:
        for trials in self._known.values():
            if trial_id in trials:
                self._check(writes=False)
                return copy.deepcopy(trials[trial_id])
        return self._read(lambda: self._inner.get_trial(trial_id))

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        if study_id in self._known:
            self._check(writes=False)
            trials = list(self._known[study_id].values())
        else:
            trials = self._read(lambda: self._inner.get_all_trials(study_id, deepcopy=False))
            if self._guard is not None:
                self._known[study_id] = {trial._trial_id: trial for trial in trials}
        chosen = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def remove_session(self) -> None:
        self._inner.remove_session()


def _running() -> FrozenTrial:
    """A trial that begins now and has no parameters yet."""
    return FrozenTrial(
        number=-1,
        state=TrialState.RUNNING,
        value=None,
        datetime_start=datetime.now(),
        datetime_complete=None,
        params={},
        distributions={},
        user_attrs={},
        system_attrs={},
        intermediate_values={},
        trial_id=-1,
    )
