"""Retries: a server goes away before or after it has done an operation."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cache, partial
from itertools import cycle
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.storages import BaseStorage, InMemoryStorage, RDBStorage, get_storage
from optuna.trial import TrialState

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.storage.retry import Retrier, RetryingStorage, TransientError
from tests.examples import examples
from tests.tuner.factory import play, toy_space

QUICK = partial(Retrier, seconds=60.0, remedy="wait", pause=0.0)


class Faulty:
    """A storage that fails before or after an operation; ``faults`` has one entry a call."""

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


def retrying(inner: BaseStorage, faults: Iterator[str]) -> RetryingStorage:
    return RetryingStorage(Faulty(inner, faults), QUICK("db", lambda text: None))  # type: ignore[arg-type]


def search(folder: Path, storage: BaseStorage) -> list[Any]:
    """Runs a whole search; what its studies hold at the end."""
    space = toy_space(folder, "budget.trials=4", "finalists.seeds=1")
    run = RunFolder(folder / "run")
    run.path.mkdir(exist_ok=True)
    driver = Driver(space, run, storage, SearchContext(lambda config: config, "abc"))
    play(driver, lambda config: 1e6 * abs(config.generator.lr - 1e-3), slots=2)
    records = [*driver.trials(), *driver.finalists()]
    return [(r.name, r.params, r.value, r.rungs, r.origin, r.seed) for r in records]


@cache
def search_without_faults() -> list[Any]:
    with TemporaryDirectory() as folder:
        return search(Path(folder), InMemoryStorage())


FAULTS = st.lists(st.sampled_from(["none", "none", "none", "before", "after"]), max_size=300)


@given(faults=FAULTS)
@examples(10)
def test_no_trial_is_lost_or_doubled_whichever_answer_is_lost(faults: list[str]) -> None:
    with TemporaryDirectory() as folder:
        storage = InMemoryStorage()
        assert search(Path(folder), retrying(storage, iter(faults))) == search_without_faults()
        for study in storage.get_all_studies():
            states = {t.state for t in storage.get_all_trials(study._study_id)}
            assert states <= {TrialState.COMPLETE, TrialState.PRUNED}


@pytest.mark.integration
def test_every_operation_on_a_database_may_be_repeated(tmp_path: Path) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = get_storage(RDBStorage(f"sqlite:///{tmp_path}/studies.db"))
    faults = cycle(["after", "none", "none", "before", "none", "none", "none"])
    assert search(tmp_path, retrying(storage, faults)) == search_without_faults()


def test_a_trial_that_ended_with_another_state_is_not_ended_again() -> None:
    storage = InMemoryStorage()
    study = optuna.create_study(storage=storage)
    trial = study.ask()
    storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    storage_with_retries = retrying(storage, iter(["before"]))
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage_with_retries.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [1.0])


def test_an_outage_is_announced_once_and_its_end_once() -> None:
    lines: list[str] = []
    retrier = QUICK("db", lines.append)

    def operation(attempt: int) -> int:
        if attempt < 5:
            raise TransientError("Connection refused")
        return attempt

    assert retrier.call(operation) == 5
    assert lines == [
        "database db cannot be reached (Connection refused); trying again for up to 60 s",
        "database reached again after 0 s",
    ]


def unavailable(attempt: int) -> None:
    raise TransientError("Connection refused")


def test_giving_up_names_the_remedy_and_later_operations_do_not_wait() -> None:
    retrier = Retrier("db", lambda text: None, seconds=0.1, remedy="look at the server", pause=0.01)
    for _ in range(2):
        start = time.monotonic()
        with pytest.raises(RunError, match=r"tried for 0 s.*Connection refused; look at the serv"):
            retrier.call(unavailable)
    assert time.monotonic() - start < 0.1


def test_an_interrupted_wait_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    retrier = Retrier("db", lambda text: None, seconds=300.0, remedy="wait")

    def interrupt(seconds: float) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(time, "sleep", interrupt)
        with pytest.raises(KeyboardInterrupt):
            retrier.call(unavailable)
    with pytest.raises(RunError):
        retrier.call(unavailable)


def test_a_guarded_storage_reads_trials_only_after_writes() -> None:
    calls: list[str] = []

    class Counting(Faulty):
        def __getattr__(self, name: str) -> Callable[..., Any]:
            calls.append(name)
            return super().__getattr__(name)

    inner = Counting(InMemoryStorage(), iter(()))
    storage = RetryingStorage(inner, QUICK("db", lambda text: None))  # type: ignore[arg-type]
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
    assert calls == ["get_all_trials"]  # other processes may write now
