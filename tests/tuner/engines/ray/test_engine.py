"""The Ray engine and its adapters without Ray: Tune's calls are canned, and so are the trials."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gantune.errors import TrainingError
from gantune.scores import Protocol, Protocols
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.driver import Driver
from gantune.tuner.engines.base import Task
from gantune.tuner.engines.ray.engine import (
    FINISHED,
    DriverError,
    DriverScheduler,
    DriverSearcher,
    RayEngine,
    registered,
)
from gantune.tuner.engines.ray.worker import TrialReport
from gantune.tuner.options import RayPlan, Resources
from gantune.tuner.state import SearchObserver
from tests.tuner.factory import make_driver, play, score, toy_space


def engine_of(driver: Driver, workers: int = 1) -> RayEngine:
    own = Protocol.external("score", "mine.py:train")
    config = driver.space.first_config()
    task = Task(driver.folder.path, None, Protocols(own, own), "cpu", 1, config)
    plan = RayPlan(None, Resources({"CPU": 1.0}), None)
    return RayEngine(driver, [task] * workers, SearchObserver(), plan)


class CannedTune:
    """Calls the searcher and the scheduler as Tune does, for trials with canned scores."""

    def __init__(self, engine: RayEngine, workers: int = 1) -> None:
        self.engine, self.workers = engine, workers
        self.running: dict[str, Assignment] = {}
        self.finished: list[str] = []

    def fit(self, curve: Callable[[Any], float | str]) -> list[str]:
        """Runs all trials; their names in the order of their end."""
        with registered("key", self.engine):
            searcher = DriverSearcher("key")
            scheduler = DriverScheduler("key")
            for number in range(1000):
                found = searcher.suggest(f"id{number}")
                if found == FINISHED:
                    return self.finished
                if found is not None:
                    assert not isinstance(found, str)
                    self.running[f"id{number}"] = found["assignment"]
                    assert len(self.running) <= self.workers
                if found is None or len(self.running) == self.workers:
                    trial = next(iter(self.running))
                    self.train(searcher, scheduler, trial, curve)
        raise AssertionError("the search does not end")

    def train(self, searcher: Any, scheduler: Any, trial: str, curve: Any) -> None:
        class Trial:
            trial_id = trial
            pickled_error_file = "/nowhere"

        assignment = self.running.pop(trial)
        self.finished.append(assignment.name)
        result, budget = curve(assignment.config), assignment.config.kimg
        if result == "crashed":
            for _ in range(2):
                scheduler.on_trial_error(None, Trial)
            searcher.on_trial_complete(trial_id=trial, error=True)
            return
        results: list[RungReport | Outcome] = [
            RungReport(rung, rung * budget, score(result + 10 * (1 - rung)))
            for rung in assignment.rungs
        ]
        for what in [*results, Outcome("completed", budget, score=score(result))]:
            report = TrialReport(what, True, None, ())
            answer = scheduler.on_trial_result(None, Trial, {"report": report})
            if answer == "STOP":
                break
        assert answer == "STOP"
        searcher.on_trial_complete(trial_id=trial, result={})


def by_rate(config: Any) -> float:
    return float(abs(config.generator.lr - 1e-3) * 1e4)


def two_drivers(home: Path) -> list[Driver]:
    drivers = []
    for name in ("alone", "tune"):
        (home / name).mkdir()
        drivers.append(make_driver(home / name, toy_space(home / name)))
    return drivers


def test_the_adapters_leave_the_same_study_as_the_driver_alone(tmp_path: Path) -> None:
    drivers = two_drivers(tmp_path)
    names = play(drivers[0], by_rate)
    assert CannedTune(engine_of(drivers[1])).fit(by_rate) == names
    alone, tuned = ((d.trials(), d.finalists()) for d in drivers)
    assert alone == tuned
    assert {t.outcome.ending for t in tuned[0] if t.outcome} == {"completed", "pruned"}


def test_tune_gets_no_more_trials_than_there_are_workers(tmp_path: Path) -> None:
    drivers = two_drivers(tmp_path)
    tuned = CannedTune(engine_of(drivers[1], 3), 3).fit(by_rate)
    assert tuned == play(drivers[0], by_rate, slots=3)


def test_the_outcome_of_a_pruned_trial_is_made_from_its_rungs_report(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    report = RungReport(0.5, 5.0, score(9.0), 40, 5.0, 1.5, 0.5)
    assert report.pruned() == Outcome(
        "pruned", 5.0, step=40, best_kimg=5.0, seconds=1.5, scoring_seconds=0.5
    )
    CannedTune(engine_of(driver)).fit(by_rate)
    (worst, *_) = [t for t in driver.trials() if t.outcome and t.outcome.ending == "pruned"]
    assert worst.outcome is not None and worst.outcome.kimg == 5.0


def test_a_search_that_only_crashes_ends_with_the_first_error(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.max_failed=1"))
    with pytest.raises(DriverError) as caught:
        CannedTune(engine_of(driver)).fit(lambda config: "crashed")
    assert isinstance(caught.value.error, TrainingError)
    assert "2 trials crashed" in str(caught.value.error)
    assert Counter(t.outcome and t.outcome.ending for t in driver.trials()) == {"crashed": 2}
