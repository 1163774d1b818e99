"""Budgets: trials, kimg, time and patience, alone and together, on canned curves."""

from __future__ import annotations

import random
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config import TrialConfig
from gantune.report.analysis.timeline import estimate
from gantune.trial.records import Assignment, Outcome, RungReport, TrialRecord
from gantune.tuner.budget import Ledger
from gantune.tuner.driver import Driver
from tests.tuner.factory import by_lr, make_driver, play, score, toy_space

HALVING = (
    "pruning.rule=halving",
    "pruning.rungs=[10%, 50%]",
    "pruning.factor=3",
    "budget.trials=null",
)


class Clock:
    """Stands in for a driver's clock: every kimg takes a second."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, slots: int = 1) -> None:
        self.now = 0.0
        self.slots = slots
        monkeypatch.setattr(Driver, "seconds", property(lambda driver: self.now))

    def train(self, driver: Driver, work: Assignment, quality: float) -> None:
        config = work.config
        record = (driver.trials() if work.kind == "trial" else driver.finalists())[work.number]
        before = max(record.rungs, default=0) / 100
        for rung in work.rungs:
            if rung <= before:
                assert driver.report(work.name, report_of(rung, config.kimg, quality))
                continue
            self.now += (rung - before) * config.kimg / self.slots
            before = rung
            if not driver.report(work.name, report_of(rung, config.kimg, quality)):
                spent = rung * config.kimg
                driver.finish(work.name, Outcome("pruned", spent, seconds=spent))
                return
        outcome = Outcome("completed", config.kimg, score=score(quality), seconds=config.kimg)
        driver.finish(work.name, outcome)


def report_of(rung: float, kimg: float, quality: float) -> RungReport:
    return RungReport(rung, rung * kimg, score(quality), seconds=rung * kimg)


def run_out(driver: Driver, clock: Clock) -> float:
    """Trains until nothing is left; returns the kimg that all trials and finals trained."""
    while isinstance(work := driver.next_assignment(), Assignment):
        assert isinstance(work.config, TrialConfig)
        clock.train(driver, work, by_lr(work.config))
    outcomes = [r.outcome for r in (*driver.trials(), *driver.finalists())]
    return sum(outcome.kimg for outcome in outcomes if outcome is not None)


@pytest.mark.parametrize("rule", [HALVING, ("budget.trials=null", "pruning.rule=none")])
@pytest.mark.parametrize("kimg", [150, 300])
def test_a_budget_of_kimg_holds_the_finals_and_is_used_well(
    tmp_path: Path, rule: tuple[str, ...], kimg: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *rule, f"budget.kimg={kimg}"))
    spent = run_out(driver, Clock(monkeypatch))
    assert kimg - 25 <= spent <= kimg
    assert driver.state().is_over
    assert driver.state().winner is not None


@pytest.mark.parametrize("rule", [HALVING, ("budget.trials=null", "pruning.rule=none")])
def test_a_budget_of_time_holds_the_finals_and_is_used_well(
    tmp_path: Path, rule: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *rule, "budget.time=300"))
    clock = Clock(monkeypatch)
    run_out(driver, clock)
    assert 275 <= clock.now <= 300
    assert driver.state().winner is not None


def test_the_first_limit_that_is_reached_ends_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = ("budget.trials=5", "budget.kimg=10000", "budget.time=10h", "budget.patience=500")
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, *limits))
    run_out(driver, Clock(monkeypatch))
    assert len(driver.trials()) == 5


def test_patience_ends_a_search_that_finds_nothing_better(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.patience=6"))
    source = random.Random(0)
    play(driver, lambda config: 5.0 if config.generator.lr == 2e-4 else 6 + source.random())
    assert len(driver.trials()) == 7  # the start recipe, and six that are worse
    extended = make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.patience=9"))
    play(extended, lambda config: 7.0)
    assert len(extended.trials()) == 10


def record(number: int, rungs: dict[int, float], error: float = 0.0) -> TrialRecord:
    return TrialRecord(
        name=f"trials/{number:04d}",
        number=number,
        params={},
        budget_kimg=10.0,
        rungs=rungs,
        rung_errors=dict.fromkeys(rungs, error),
        outcome=Outcome("paused", 1.0),
    )


def ledger_of(tmp_path: Path, trials: list[TrialRecord]) -> Ledger:
    return Ledger(toy_space(tmp_path, *HALVING, "budget.patience=3"), trials, [], 0.0, 1)


def test_a_better_score_within_its_error_is_no_improvement(tmp_path: Path) -> None:
    values = [10.0, 9.0, 9.5]
    trials = [record(number, {10: value}, error=1.0) for number, value in enumerate(values)]
    assert ledger_of(tmp_path, trials).since_improvement == 2
    exact = [replace(trial, rung_errors={}) for trial in trials]
    assert ledger_of(tmp_path, exact).since_improvement == 1
    later = [replace(exact[0], rungs={10: 10.0, 50: 4.0}), *exact[1:]]
    assert ledger_of(tmp_path, later).since_improvement == 1


@given(st.lists(st.floats(0, 100), max_size=30))
def test_a_score_far_below_all_others_is_an_improvement(values: list[float]) -> None:
    trials = [record(number, {10: value}) for number, value in enumerate(values)]
    with tempfile.TemporaryDirectory() as folder:
        assert 0 <= ledger_of(Path(folder), trials).since_improvement <= max(len(trials) - 1, 0)
        better = record(len(trials), {10: -1.0})
        assert ledger_of(Path(folder), [*trials, better]).since_improvement == 0


def test_the_expected_training_of_halving_follows_its_factor(tmp_path: Path) -> None:
    space = toy_space(tmp_path, *HALVING, "budget.trials=27")
    trials = [record(0, {10: 5.0})]
    expected = Ledger(space, trials, [], 0.0, 1).expected_kimg
    # 27 to 10%, 9 to 50%, 3 to the end; then two finalists and the start recipe on two seeds.
    assert expected == pytest.approx(27 * 1 + 9 * 4 + 3 * 5 + 6 * 10)


def test_the_time_left_is_never_more_than_the_budget_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = ("budget.trials=400", "budget.time=100")
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, *limits))
    clock = Clock(monkeypatch)
    for _ in range(12):
        work = driver.next_assignment()
        assert isinstance(work, Assignment)
        assert isinstance(work.config, TrialConfig)
        clock.train(driver, work, by_lr(work.config))
    left = estimate(driver.state()).seconds_left
    assert left is not None
    assert left <= 100 - clock.now
