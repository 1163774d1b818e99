"""A small space, and an engine that plays canned curves instead of training."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import optuna

from gantune.config import TrialConfig
from gantune.health import Verdict
from gantune.run_folder.run import RunFolder
from gantune.scores import Score
from gantune.space import SearchSpace, load_space
from gantune.trial.records import Assignment, Done, Outcome, RungReport
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.recovery import repair_journal
from gantune.tuner.storage import database, open_storage
from gantune.tuner.storage.database import open_database
from gantune.tuner.storage.url import parse_url
from tests.canned import make_score

SPACE = """
study: toy
budget: {trials: 8}
trial:
  kimg: 10
  batch_size: {choices: [16, 32]}
  generator: {lr: {low: 1e-5, high: 1e-2, log: true}}
start:
  - {generator.lr: 2e-4, batch_size: 16}
pruning: {rule: median, rungs: [50%], startup: 2}
finalists: {top: 2, seeds: 2}
"""

Curve = Callable[[TrialConfig], float | str]
"""The score that a config reaches, or its outcome."""


def toy_space(path: Path, *overrides: str) -> SearchSpace:
    file = path / "toy.yaml"
    file.write_text(SPACE)
    return load_space(file, overrides)


def make_driver(path: Path, space: SearchSpace, storage: str | None = None) -> Driver:
    folder = RunFolder(path / "run")
    folder.path.mkdir(exist_ok=True)
    repair_journal(folder.journal)
    context = SearchContext(resolve=lambda config: config, protocol="abc", header="made by a test")
    return Driver(space, folder, open_storage(folder, storage), context)


def score(value: float, **fields: object) -> Score:
    return make_score(value, **{"extractor": "test", "generated": 100, **fields})


def play(driver: Driver, curve: Curve, slots: int = 1, stop_after: int | None = None) -> list[str]:
    """Plays every run of the driver with a number of workers; returns names in order of their end.

    ``stop_after``: stops after so many runs, as a kill does.
    """
    running: list[Assignment] = []
    ended: list[str] = []
    while True:
        while len(running) < slots:
            work = driver.next_assignment()
            if not isinstance(work, Assignment):
                assert running or isinstance(work, Done)
                assert not (running and isinstance(work, Done))
                break
            running.append(work)
        if len(ended) == stop_after:
            return ended
        if not running:
            driver.write()
            return ended
        assignment = running.pop(0)
        train(driver, assignment, curve)
        driver.flush_results()
        ended.append(assignment.name)


def train(driver: Driver, assignment: Assignment, curve: Curve) -> None:
    assert isinstance(assignment.config, TrialConfig)
    result = curve(assignment.config)
    budget = assignment.config.kimg
    if isinstance(result, str):
        rule = {"diverged": "exploding", "stalled": "stillborn"}.get(result)
        verdict = Verdict(result, rule, 1.0, "it broke") if rule else None  # type: ignore[arg-type]
        driver.finish(assignment.name, Outcome(result, 1.0, verdict=verdict, error="boom"))  # type: ignore[arg-type]
        return
    for rung in assignment.rungs:
        report = RungReport(rung, rung * budget, score(result + 10 * (1 - rung)))
        if not driver.report(assignment.name, report):
            driver.finish(assignment.name, Outcome("pruned", rung * budget))
            return
    driver.finish(assignment.name, Outcome("completed", budget, score=score(result)))


def by_lr(config: TrialConfig) -> float:
    """The best score is at 1e-3; the seed changes it a little."""
    return 5 + abs(math.log10(config.generator.lr) + 3) + 0.01 * config.seed


def open_url(url: str) -> database.DatabaseStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return open_database(parse_url(url), lambda text: None)


def dump_sqlite(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        lines = list(connection.iterdump())
    connection.close()
    return lines


def get_note(of: Any) -> str:
    """The note as the dashboard reads it. It imports scikit-learn, so only where it is read."""
    from optuna_dashboard import get_note

    return get_note(of)
