"""Retries for an Optuna storage whose server may go away, written by one driver.

An operation whose answer was lost may or may not have been done. So every operation is written
such that doing it again changes nothing: a new trial carries a token by which it is found again.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Container, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, NoReturn, TypeVar
from uuid import uuid4

from optuna.exceptions import UpdateFinishedTrialError
from optuna.storages import BaseStorage
from optuna.trial import FrozenTrial, TrialState, create_trial
from tenacity import RetryCallState, Retrying, retry_if_exception_type, wait_exponential

from gantune.errors import RunError
from gantune.io.formatting import spoken_duration
from gantune.io.processes import defer_signals

_LONGEST_PAUSE = 5.0  # seconds from one attempt to the next
_TOKEN = "gantune:token"

T = TypeVar("T")


class TransientError(Exception):
    """A server does not answer for now; the text says why, without a password."""


class Retrier:
    """Retries operations on one server until they succeed, time runs out, or the user interrupts.

    ``name``: the server's URL without its password. ``notify`` gets one message when the server
    goes away and one when it is back. ``seconds``: how long it is retried; ``remedy``: what the
    user is told after that. Each pause is twice the one before; ``pause`` is the first. After
    giving up, every operation is attempted only once, so that the end of a search does not wait.
    """

    def __init__(
        self,
        name: str,
        notify: Callable[[str], None],
        *,
        seconds: float,
        remedy: str,
        pause: float = 0.2,
    ) -> None:
        self._name, self._notify, self._seconds, self._remedy = name, notify, seconds, remedy
        self._has_given_up = False
        self._backoff = wait_exponential(multiplier=pause, max=_LONGEST_PAUSE)

    def call(self, operation: Callable[[int], T]) -> T:
        """The result of ``operation``, whose argument counts the attempts from 0.

        Raises ``RunError`` once the operation has raised ``TransientError`` for too long.
        """
        retrying = Retrying(
            retry=retry_if_exception_type(TransientError),
            wait=lambda state: min(self._backoff(state), max(self._seconds_left(state), 0.0)),
            stop=lambda state: self._has_given_up or self._seconds_left(state) <= 0,
            before_sleep=self._announce,
            sleep=self._sleep,
            retry_error_callback=self._give_up,
        )
        start = time.monotonic()
        for attempt in retrying:
            number = attempt.retry_state.attempt_number - 1
            with attempt, defer_signals():
                result = operation(number)
        if number:
            waited = spoken_duration(time.monotonic() - start)
            self._notify(f"database reached again after {waited}")
        return result

    def _seconds_left(self, state: RetryCallState) -> float:
        return self._seconds - (state.seconds_since_start or 0.0)

    def _announce(self, state: RetryCallState) -> None:
        if state.attempt_number == 1:
            self._notify(
                f"database {self._name} cannot be reached ({_reason(state)}); trying again for up "
                f"to {spoken_duration(self._seconds)}"
            )

    def _sleep(self, seconds: float) -> None:
        try:
            time.sleep(seconds)
        except BaseException:  # after Ctrl-C, the shutdown must not wait again
            self._has_given_up = True
            raise

    def _give_up(self, state: RetryCallState) -> NoReturn:
        self._has_given_up = True
        raise RunError(
            f"storage: {self._name} cannot be reached; tried for "
            f"{spoken_duration(self._seconds)}, the last answer was: {_reason(state)}; "
            f"{self._remedy}"
        )


def _reason(state: RetryCallState) -> str:
    """Why the last attempt failed."""
    return str(state.outcome.exception()) if state.outcome else ""


def _retried(name: str, *, writes: bool) -> Callable[..., Any]:
    """A method of the inner storage with retries: done a second time, it changes nothing."""

    def method(self: RetryingStorage, *args: Any, **options: Any) -> Any:
        return self._retry(lambda _: getattr(self._inner, name)(*args, **options), writes=writes)

    return method


_read = partial(_retried, writes=False)
_write = partial(_retried, writes=True)


class RetryingStorage(BaseStorage):
    """Passes every operation on to ``inner``, with retries."""

    def __init__(self, inner: BaseStorage, retrier: Retrier) -> None:
        self._inner, self.retrier = inner, retrier
        self._guard: Callable[[bool], None] | None = None
        self._cache: dict[int, dict[int, FrozenTrial]] = {}

    @contextmanager
    def with_guard(self, guard: Callable[[bool], None]) -> Iterator[None]:
        """Calls ``guard`` before every operation, with whether it writes.

        The guard raises once this process may no longer use the study. No other process writes the
        study meanwhile, so trials are cached between writes.
        """
        self._guard = guard
        try:
            yield
        finally:
            self._guard, self._cache = None, {}

    create_new_study = _write("create_new_study")
    delete_study = _write("delete_study")
    set_study_user_attr = _write("set_study_user_attr")
    set_study_system_attr = _write("set_study_system_attr")
    set_trial_param = _write("set_trial_param")
    set_trial_intermediate_value = _write("set_trial_intermediate_value")
    set_trial_user_attr = _write("set_trial_user_attr")
    set_trial_system_attr = _write("set_trial_system_attr")

    get_study_id_from_name = _read("get_study_id_from_name")
    get_study_name_from_id = _read("get_study_name_from_id")
    get_study_directions = _read("get_study_directions")
    get_study_user_attrs = _read("get_study_user_attrs")
    get_study_system_attrs = _read("get_study_system_attrs")
    get_all_studies = _read("get_all_studies")
    get_trial_id_from_study_id_trial_number = _read("get_trial_id_from_study_id_trial_number")

    def create_new_trial(self, study_id: int, template_trial: FrozenTrial | None = None) -> int:
        template = copy.deepcopy(template_trial) or create_trial(state=TrialState.RUNNING)
        token = template.system_attrs[_TOKEN] = uuid4().hex

        def create(attempt: int) -> int:
            if attempt:  # an earlier one, whose answer was lost, may have created it
                for trial in self._inner.get_all_trials(study_id, deepcopy=False):
                    if trial.system_attrs.get(_TOKEN) == token:
                        return trial._trial_id
            return self._inner.create_new_trial(study_id, template)

        return self._retry(create, writes=True)

    def set_trial_state_values(
        self, trial_id: int, state: TrialState, values: Sequence[float] | None = None
    ) -> bool:
        def is_changed() -> bool:
            trial = self._inner.get_trial(trial_id)
            return trial.state == state and (values is None or list(values) == trial.values)

        def change(attempt: int) -> bool:
            try:
                changed = self._inner.set_trial_state_values(trial_id, state, values)
            except UpdateFinishedTrialError:
                if attempt and is_changed():  # by an earlier one, whose answer was lost
                    return True
                raise
            return changed or (attempt > 0 and is_changed())

        return self._retry(change, writes=True)

    def get_trial(self, trial_id: int) -> FrozenTrial:
        for trials in self._cache.values():
            if trial_id in trials:
                self._check(writes=False)
                return copy.deepcopy(trials[trial_id])
        return self._retry(lambda _: self._inner.get_trial(trial_id), writes=False)

    def get_all_trials(
        self,
        study_id: int,
        deepcopy: bool = True,
        states: Container[TrialState] | None = None,
    ) -> list[FrozenTrial]:
        if study_id in self._cache:
            self._check(writes=False)
            trials = list(self._cache[study_id].values())
        else:
            trials = self._retry(
                lambda _: self._inner.get_all_trials(study_id, deepcopy=False), writes=False
            )
            if self._guard is not None:
                self._cache[study_id] = {trial._trial_id: trial for trial in trials}
        chosen = [trial for trial in trials if states is None or trial.state in states]
        return copy.deepcopy(chosen) if deepcopy else chosen

    def remove_session(self) -> None:
        self._inner.remove_session()

    def _retry(self, operation: Callable[[int], T], *, writes: bool) -> T:
        """``operation`` gets the number of the attempt: after 0 it may have been done already."""

        def attempt(number: int) -> T:
            self._check(writes=writes)
            return operation(number)

        if not writes:
            return self.retrier.call(attempt)
        self._cache.clear()
        try:
            return self.retrier.call(attempt)
        finally:
            self._cache.clear()

    def _check(self, *, writes: bool) -> None:
        if self._guard is not None:
            self._guard(writes)
