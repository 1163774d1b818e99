"""Patience: a server that goes away, before or after it has done what it was asked."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage, get_storage
from optuna.trial import TrialState

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.storage.retry import PatientStorage, Retrier, Terms, TransientError
from tests.tuner.factory import play, toy_space

QUICK = Terms(60.0, "wait", pause=0.0)


class Faulty:
    """A storage that is away before or after an operation, as ``faults`` say, one a call."""

    def __init__(self, inner: BaseStorage, faults: Iterator[str]) -> None:
        self._inner, self._faults = inner, faults

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._inner, name)

        def call(*args: Any, **options: Any) -> Any:
            fault = next(self._faults, "none")
            if fault == "before":
                raise TransientError("refused")
            result = method(*args, **options)
            if fault == "after":
                raise TransientError("its answer was lost")
            return result

        return call


def patient(inner: BaseStorage, faults: Iterator[str], terms: Terms = QUICK) -> PatientStorage:
    return PatientStorage(Faulty(inner, faults), Retrier("db", terms, lambda text: None))  # type: ignore[arg-type]


def told(folder: Path, storage: BaseStorage) -> list[Any]:
    """A whole search: what its studies hold in the end."""
    space = toy_space(folder, "budget.trials=4", "finalists.seeds=1")
    run = RunFolder(folder / "run")
    run.path.mkdir(exist_ok=True)
    driver = Driver(space, run, storage, SearchContext(lambda config: config, "abc"))
    play(driver, lambda config: 1e6 * abs(config.generator.lr - 1e-3), slots=2)
    records = [*driver.trials(), *driver.finalists()]
    return [(r.name, r.params, r.value, r.rungs, r.origin, r.seed) for r in records]


@cache
def told_in_calm() -> list[Any]:
    with TemporaryDirectory() as folder:
        return told(Path(folder), InMemoryStorage())


FAULTS = st.lists(st.sampled_from(["none", "none", "none", "before", "after"]), max_size=300)


@given(faults=FAULTS)
@settings(max_examples=10)
def test_no_trial_is_lost_or_doubled_whatever_answer_is_lost(faults: list[str]) -> None:
    with TemporaryDirectory() as folder:
        storage = InMemoryStorage()
        assert told(Path(folder), patient(storage, iter(faults))) == told_in_calm()
        for study in storage.get_all_studies():
            states = {t.state for t in storage.get_all_trials(study._study_id)}
            assert states <= {TrialState.COMPLETE, TrialState.PRUNED}


def test_in_a_database_every_operation_may_be_done_twice(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = get_storage(RDBStorage(f"sqlite:///{tmp_path}/studies.db"))
    faults = cycle(["after", "none", "none", "before", "none", "none", "none"])
    assert told(tmp_path, patient(storage, faults)) == told_in_calm()


def test_a_trial_ended_otherwise_is_not_taken_for_ended() -> None:
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    weary = patient(storage, iter(["before"]))
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        weary.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0])


def test_an_outage_is_told_once_and_its_end_once() -> None:
    lines: list[str] = []
    patience = Retrier("db", QUICK, lines.append)

    def operation(attempt: int) -> int:
        if attempt < 5:
            raise TransientError("Connection refused")
        return attempt

    assert patience.call(operation) == 5
    assert lines == [
        "database db cannot be reached (Connection refused); trying again for up to 60 s",
        "database reached again after 0 s",
    ]


def away(attempt: int) -> None:
    raise TransientError("Connection refused")


def test_patience_ends_with_what_helps_and_is_not_begun_again() -> None:
    patience = Retrier("db", Terms(0.1, "look at the server", pause=0.01), lambda text: None)
    for _ in range(2):
        begun = time.monotonic()
        with pytest.raises(RunError, match=r"tried for 0 s.*Connection refused; look at the serv"):
            patience.call(away)
    assert time.monotonic() - begun < 0.1


def test_who_interrupts_does_not_wait_again(monkeypatch: pytest.MonkeyPatch) -> None:
    patience = Retrier("db", Terms(300.0, "wait"), lambda text: None)

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            patience.call(away)
    with pytest.raises(RunError):
        patience.call(away)


def test_a_guarded_storage_asks_its_server_for_trials_after_writes_only() -> None:
    calls: list[str] = []

    class Counting(Faulty):
        def __getattr__(self, name: str) -> Callable[..., Any]:
            calls.append(name)
            return super().__getattr__(name)

    inner = Counting(InMemoryStorage(), iter(()))
    storage = PatientStorage(inner, Retrier("db", QUICK, lambda text: None))  # type: ignore[arg-type]
    study = optuna.create_study(storage=storage)
    asked: list[bool] = []
    with storage.with_guard(asked.append):
        study.tell(study.ask(), 1.0)
        first = study.get_trials()
        calls.clear()
        assert study.get_trials() == first and study.get_trials(deepcopy=False)
        assert calls == [] and asked[-1] is False
        study.ask()
        assert True in asked
        assert len(study.get_trials()) == 2
        assert study.get_trials(states=(TrialState.COMPLETE,)) == first
    calls.clear()
    study.get_trials()
    assert calls == ["get_all_trials"]  # others may write now
