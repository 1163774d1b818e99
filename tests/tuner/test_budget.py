"""Budgets: trials, kimg, time and patience, alone and together, on canned curves."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import Path

import pytest

from gantune.config import TrialConfig
from gantune.trial.records import Assignment, Outcome, RungReport, TrialRecord
from gantune.tuner.budget import Ledger, is_improvement
from gantune.tuner.driver import Driver
from tests.examples import in_integration
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
    return trained_by(driver)


def trained_by(driver: Driver) -> float:
    """The kimg of all trials and finals."""
    outcomes = [r.outcome for r in (*driver.trials(), *driver.finalists())]
    return sum(outcome.kimg for outcome in outcomes if outcome is not None)


@pytest.mark.parametrize("rule", [HALVING, ("budget.trials=null", "pruning.rule=none")])
@pytest.mark.parametrize("kimg", [150, *in_integration(300)])
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


@pytest.mark.parametrize("limit", ["kimg", "time"])
def test_no_trial_begins_that_could_not_end(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 200 the six trainings of the finals take 60, and a whole trial takes 10."""
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, f"budget.{limit}=200"))
    clock, begun = Clock(monkeypatch), set[str]()
    while isinstance(work := driver.next_assignment(), Assignment):
        assert isinstance(work.config, TrialConfig)
        if work.kind == "trial" and work.name not in begun:
            assert clock.now <= 200 - 60 - 10
            begun.add(work.name)
        clock.train(driver, work, by_lr(work.config))
    assert len(begun) > 20


@pytest.mark.parametrize("limit", ["kimg", "time"])
@pytest.mark.parametrize(("size", "begun", "ended"), [(80, 2, 2), (100, 7, 3)])
def test_a_small_budget_is_used(
    tmp_path: Path,
    limit: str,
    size: int,
    begun: int,
    ended: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Beside the finals there is room for two trials, which they need; with 20 more for five to
    their first rung, and then for the rest of the best of these, which was not due."""
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, f"budget.{limit}={size}"))
    assert run_out(driver, Clock(monkeypatch)) <= size
    trials = driver.trials()
    assert (len(trials), sum(record.value is not None for record in trials)) == (begun, ended)


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
    play(driver, lambda config: 5.0 if config.generator.lr == 2e-4 else 6 + 500 * source.random())
    # The best is promoted to its end after the ninth trial; then six begin that are worse.
    assert len(driver.trials()) == 15
    extended = make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.patience=9"))
    play(extended, lambda config: 7.0)
    assert len(extended.trials()) == 18


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


def test_a_better_score_within_its_error_is_no_improvement() -> None:
    trials = [record(n, {10: value}, error=1.0) for n, value in enumerate((10.0, 9.0, 12.0))]
    assert not is_improvement(trials, 1, 10)
    assert is_improvement([replace(trial, rung_errors={}) for trial in trials], 1, 10)
    assert is_improvement([*trials, record(3, {10: 7.0}, error=1.0)], 3, 10)
    assert is_improvement([*trials, record(3, {10: 70.0, 50: 60.0})], 3, 50)  # the first there


def test_patience_counts_from_when_a_score_came_and_not_from_when_its_trial_began(
    tmp_path: Path,
) -> None:
    space = toy_space(tmp_path, *HALVING, "pruning.factor=2", "budget.patience=12")
    driver = make_driver(tmp_path, space)
    begun: list[str] = []
    while isinstance(work := driver.next_assignment(), Assignment):
        begun += [work.name] if work.name not in begun else []
        late = work.name == "trials/0003"
        for rung in work.rungs:
            quality = 1.0 if late and rung > 0.1 else 10.0 + work.number
            quality = 12.5 if late and rung <= 0.1 else quality
            if not driver.report(work.name, report_of(rung, 10.0, quality)):
                driver.finish(work.name, Outcome("pruned", 10 * rung))
                break
        else:
            driver.finish(work.name, Outcome("completed", 10.0, score=score(quality)))
        if "trials/0003" in begun and len(driver.trials()) > 3:
            last = driver.trials()[3]
            if 50 in last.rungs:
                break
    improved = int(driver._trials.attributes["improved"])
    assert improved == len(driver.trials())


def test_promoted_trials_that_all_fail_do_not_exceed_the_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.time=100"))
    clock = Clock(monkeypatch)
    while isinstance(work := driver.next_assignment(), Assignment):
        record = driver.trials()[work.number] if work.kind == "trial" else None
        if record is not None and record.rungs:
            clock.now += 2.0
            driver.finish(work.name, Outcome("diverged", 3.0, seconds=3.0))
            continue
        assert isinstance(work.config, TrialConfig)
        clock.now += 1.0
        if not driver.report(work.name, report_of(0.1, 10.0, by_lr(work.config))):
            driver.finish(work.name, Outcome("pruned", 1.0, seconds=1.0))
        else:
            driver.finish(work.name, Outcome("diverged", 3.0, seconds=3.0))
    assert clock.now <= 103
    assert driver.state().is_over


def test_an_extension_keeps_what_its_finals_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    run_out(make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.kimg=150")), clock)
    driver = make_driver(tmp_path, toy_space(tmp_path, *HALVING, "budget.kimg=260"))
    assert run_out(driver, clock) <= 260
    assert driver.state().winner is not None


@pytest.mark.parametrize("rule", ["halving", "hyperband"])
@pytest.mark.parametrize("slots", [*in_integration(1), 4])
def test_several_workers_stay_within_a_budget_of_kimg(
    tmp_path: Path, rule: str, slots: int
) -> None:
    space = toy_space(tmp_path, *HALVING, f"pruning.rule={rule}", "budget.kimg=200")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr, slots)
    assert 170 <= trained_by(driver) <= 200


@pytest.mark.parametrize("limit", ["kimg", "time"])
def test_a_budget_without_room_for_all_finalists_is_used(
    tmp_path: Path, limit: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten finals take 100, and 95 are no room for ten whole trials before them."""
    finals = ("finalists.top=10", "finalists.seeds=1", "finalists.start=false")
    space = toy_space(tmp_path, *HALVING, *finals, f"budget.{limit}=195")
    driver = make_driver(tmp_path, space)
    assert run_out(driver, Clock(monkeypatch)) <= 195
    assert sum(record.value is not None for record in driver.trials()) >= 7


def running(number: int, rungs: dict[int, float]) -> TrialRecord:
    return replace(record(number, rungs), outcome=None)


def two_ended() -> list[TrialRecord]:
    """Two trials that were trained to their end, with a second for each kimg."""
    whole = Outcome("completed", 10.0, score=score(1.0), seconds=10.0)
    return [replace(record(n, {10: 1.0, 50: 1.0, 100: 1.0}), outcome=whole) for n in range(2)]


def test_what_is_kept_for_the_furthest_trials_is_given_once(tmp_path: Path) -> None:
    """Two trials train their last half and are the furthest; a third one waits at 50%."""
    trials = [running(0, {50: 1.0}), running(1, {50: 2.0}), record(2, {50: 3.0})]
    trials[2] = replace(trials[2], outcome=Outcome("paused", 5.0))

    def ledger(kimg: float) -> Ledger:
        space = toy_space(tmp_path, *HALVING, f"budget.kimg={kimg}")
        return Ledger(space, trials, [], 0.0, 3)

    assert not ledger(89.9).fits_next_piece(trials[2])  # 10 + 10 + 5, and 60 for the finals
    assert ledger(90).fits_next_piece(trials[2])
    assert not ledger(94.9).fits_new_trial
    assert ledger(95).fits_new_trial


def test_a_piece_that_begins_takes_its_time(tmp_path: Path) -> None:
    """With a second for each kimg: two trials have ended, and a third one is at its second rung."""
    trials = [*two_ended(), running(2, {10: 1.0, 50: 1.0})]
    space = toy_space(tmp_path, *HALVING, "budget.time=100")
    assert Ledger(space, trials, [], 35.0, 1).fits_next_piece(trials[2])
    assert not Ledger(space, trials, [], 35.1, 1).fits_next_piece(trials[2])


def test_a_trial_that_cannot_go_on_from_its_rung_needs_its_whole_length(tmp_path: Path) -> None:
    paused = replace(record(2, {10: 1.0, 50: 1.0}), outcome=Outcome("paused", 5.0))

    def ledger(kimg: float, *, resumes: bool) -> Ledger:
        space = toy_space(tmp_path, *HALVING, f"budget.kimg={kimg}")
        return Ledger(space, [*two_ended(), paused], [], 0.0, 1, resumes=resumes)

    assert ledger(90, resumes=True).fits_to_end(paused)  # 10 + 10 + 5 + 5, and 60 for the finals
    assert not ledger(94.9, resumes=False).fits_to_end(paused)
    assert ledger(95, resumes=False).fits_to_end(paused)


def test_a_new_trial_has_room_for_the_longest_length_of_the_space(tmp_path: Path) -> None:
    lengths = ("kimg={choices: [10, 40]}", "finalists.top=0")
    for limit, fits in ((59, False), (60, True)):
        space = toy_space(tmp_path, *HALVING, *lengths, f"budget.kimg={limit}")
        assert Ledger(space, two_ended(), [], 0.0, 1).fits_new_trial is fits


def test_the_expected_training_of_halving_is_larger_with_ties(tmp_path: Path) -> None:
    space = toy_space(tmp_path, *HALVING, "budget.trials=27", "finalists.top=0")
    ledger = Ledger(space, [record(0, {10: 5.0})], [], 0.0, 1)
    # To 10%, to 50%, to the end; of 2.25 one goes on.
    assert ledger.expected_kimg == pytest.approx(27 * 1 + 12 * 4 + 5 * 5)
    assert ledger.most_kimg == ledger.expected_kimg
    plain = toy_space(tmp_path, *HALVING, "budget.trials=27", "pruning.noise=0")
    expected = Ledger(plain, [record(0, {10: 5.0})], [], 0.0, 1).expected_kimg
    assert expected == pytest.approx(27 * 1 + 9 * 4 + 3 * 5)
