"""Why runs are told to stop: rules about pace and the other runs, and by how much rank prunes."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import pytest

from gantune.health import Verdict
from gantune.space import load_space
from gantune.trial.records import (
    Assignment,
    Outcome,
    PaceReport,
    RungReport,
    Standing,
    TrialRecord,
    describe_outcome,
    why_ended,
)
from gantune.tuner.driver import Driver
from gantune.tuner.pruning import Halving, MedianRule, NoPruning, is_in_better_half
from tests.tuner.factory import make_driver, score, toy_space

IDLE = Verdict("stalled", "generator_idle", 8.0, "G's weights move too little")
STILL = Verdict("stalled", "stillborn", 5.0, "best score 900, the untrained generator's 910")


def records(scores: list[float], percent: int = 25) -> list[TrialRecord]:
    return [
        TrialRecord(f"trials/{number:04d}", number, {}, 10.0, {percent: value})
        for number, value in enumerate(scores)
    ]


@pytest.mark.parametrize(
    ("scores", "better"),
    [
        ([50.0], [0]),
        ([50.0, 60.0], [0]),
        ([50.0, 60.0, 70.0], [0, 1]),
        ([60.0, 50.0, 90.0, 80.0, 70.0, 55.0], [0, 1, 5]),
        ([50.0, 50.0], [0, 1]),
    ],
)
def test_the_better_half_at_a_rung(scores: list[float], better: list[int]) -> None:
    found = records(scores)
    assert [r.number for r in found if is_in_better_half(found, r.number)] == better


def test_the_last_rung_counts_and_a_run_without_one_is_in_no_half() -> None:
    found = records([50.0, 60.0, 70.0, 80.0])
    later = [replace(found[3], rungs={25: 80.0, 50: 40.0}), replace(found[0], number=9, rungs={})]
    assert is_in_better_half([*found[:3], later[0]], 3)
    assert not is_in_better_half([*found, later[1]], 9)


def begun(path: Path, *scores: float, rule: str = "none") -> tuple[Driver, list[Assignment]]:
    """A search whose first runs have reached their rung at 50% with these scores."""
    options = (f"pruning.rule={rule}", "pruning.rungs=[50%]", "sampler={name: random}")
    driver = make_driver(path, toy_space(path, *options))
    works = []
    for value in scores:
        work = driver.next_assignment()
        assert isinstance(work, Assignment) and work.has_peers
        assert driver.report(work.name, RungReport(0.5, 5.0, score(value)))
        works.append(work)
    return driver, works


def test_a_rule_about_pace_stops_no_run_of_the_better_half(tmp_path: Path) -> None:
    """As the third of six was, at 80%."""
    driver, works = begun(tmp_path, 50.0, 60.0, 70.0, 80.0, 90.0, 100.0)
    answers = [driver.report(work.name, PaceReport(IDLE, 8.0)) for work in works]
    assert answers == [True, True, True, False, False, False]
    stored = [driver.finish(work.name, Outcome("pruned", 8.0)) for work in works[3:]]
    assert {(one.ending, one.verdict, one.score) for one in stored} == {("stalled", IDLE, None)}
    state = driver.trials()[3]
    assert state.outcome is not None and state.outcome.verdict == IDLE
    assert why_ended(state) == f"generator_idle: {IDLE.sentence}"
    spared = driver.finish(works[2].name, Outcome("completed", 10.0, score=score(70.0)))
    assert spared.verdict is None


def test_before_its_first_rung_a_rule_about_pace_stops_a_run(tmp_path: Path) -> None:
    driver, _ = begun(tmp_path, 50.0)
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    assert not driver.report(work.name, PaceReport(IDLE, 2.0))
    assert driver.finish(work.name, Outcome("pruned", 2.0)).ending == "stalled"


@pytest.mark.parametrize("rule", ["none", "median", "halving"])
def test_at_a_rung_its_own_score_counts(tmp_path: Path, rule: str) -> None:
    driver, _ = begun(tmp_path, 50.0, 60.0)
    for value, ending in ((40.0, "completed"), (900.0, "stalled")):
        work = driver.next_assignment()
        assert isinstance(work, Assignment)
        goes_on = driver.report(work.name, RungReport(0.5, 5.0, score(value), doubt=STILL))
        assert goes_on == (ending == "completed")
        end = Outcome("completed", 10.0, score=score(value))
        end = end if goes_on else Outcome("pruned", 5.0)
        assert driver.finish(work.name, end).ending == ending


def test_an_answer_of_an_earlier_try_is_forgotten(tmp_path: Path) -> None:
    driver, works = begun(tmp_path, 50.0, 60.0)
    assert not driver.report(works[1].name, PaceReport(IDLE, 8.0))
    driver.report(works[1].name, RungReport(0.5, 5.0, score(60.0)))  # the same run, tried again
    assert (
        driver.finish(works[1].name, Outcome("completed", 10.0, score=score(60.0))).verdict is None
    )


def test_standing_tells_by_how_much() -> None:
    assert str(Standing(25, 256.0, 116.0)) == "256 against 116, the bound at 25%"
    assert str(Standing(25, 1256.4, 116.04)) == "1,256 against 116, the bound at 25%"
    assert str(Standing(25, 3562.4, 3561.6)) == "3,562.4 against 3,561.6, the bound at 25%"
    assert str(Standing(25, 0.12362, 0.12361)) == "0.12362 against 0.12361, the bound at 25%"
    assert str(Standing(5, 110.0, 116.0)) == (
        "110, within the bound of 116 at 5%, but the budget was over"
    )


def test_the_bound_of_halving_is_the_last_score_that_goes_on() -> None:
    found = records([116.0, 256.0, 300.0, 90.0, 400.0, 500.0])
    rule = Halving([25], 3.0)
    assert rule.standing(found, 1, 25) == Standing(25, 256.0, 116.0)
    assert rule.standing(found, 5, 25) == Standing(25, 500.0, 116.0)
    assert rule.standing(found[:2], 1, 25) is None  # of two, nothing is chosen yet
    needed = [replace(found[0], promoted=25), found[1]]
    assert rule.standing(needed, 1, 25) == Standing(25, 256.0, 116.0)
    also = [*found[:1], replace(found[1], promoted=25), *found[2:]]
    assert rule.standing(also, 2, 25) == Standing(25, 300.0, 256.0)


def test_hyperband_compares_within_a_ladder_and_no_rule_has_no_bound() -> None:
    found = records([10.0, 256.0, 20.0, 116.0])
    assert Halving([25, 50], 2.0, ladders=1).standing(found, 1, 25) == Standing(25, 256.0, 20.0)
    assert NoPruning().standing(found, 1, 25) is None


def test_the_bound_of_the_median_is_that_of_the_trials_that_have_ended() -> None:
    done = Outcome("completed", 10.0, score=score(1.0))
    found = [replace(record, outcome=done) for record in records([100.0, 116.0, 130.0])]
    running = TrialRecord("trials/0003", 3, {}, 10.0, {10: 240.0, 25: 256.0})
    rule = MedianRule(0)
    assert rule.standing([*found, running], 3, 25) == Standing(25, 240.0, 116.0)
    assert rule.standing([replace(running, number=0)], 0, 25) is None


@pytest.mark.parametrize("rule", ["median", "halving"])
def test_a_pruned_trial_says_by_how_much_everywhere(tmp_path: Path, rule: str) -> None:
    options = (f"pruning.rule={rule}", "pruning.rungs=[50%]", "sampler={name: random}")
    more = ("pruning.factor=2", "budget.trials=4", "finalists.top=0")
    if rule == "median":
        more = ("pruning.startup=1", *more[1:])
    driver = make_driver(tmp_path, toy_space(tmp_path, *options, *more))
    values = iter([110.0, 116.0, 256.0, 300.0])
    while isinstance(work := driver.next_assignment(), Assignment):
        known = driver.trials()[work.number].rungs
        value = known[50] if known else next(values)
        for rung in (0.5, 1.0):
            if not driver.report(work.name, RungReport(rung, 10 * rung, score(value))):
                driver.finish(work.name, Outcome("pruned", 10 * rung))
                break
        else:
            driver.finish(work.name, Outcome("completed", 10, score=score(value)))
    driver.write()
    pruned = [r for r in driver.trials() if r.outcome and r.outcome.ending == "pruned"]
    bounds = {r.number: r.outcome.standing for r in pruned if r.outcome}
    bound = 116.0 if rule == "halving" else 110.0
    assert bounds[2] == Standing(50, 256.0, bound)
    text = f"256 against {bound:.0f}, the bound at 50%"
    assert why_ended(pruned[-2]) == text
    assert pruned[-2].outcome is not None
    assert describe_outcome("t", pruned[-2].outcome) == f"t pruned at 5 kimg: {text}"
    with driver.folder.table.open(encoding="utf-8", newline="") as file:
        assert [row["reason"] for row in csv.DictReader(file)][2] == text
    again = make_driver(tmp_path, driver.space)  # from the storage
    assert again.trials()[2].outcome == driver.trials()[2].outcome


def test_seeds_of_one_config_are_no_peers(tmp_path: Path) -> None:
    """The better half of them would be spared although all are too slow."""
    file = tmp_path / "seeds.yaml"
    file.write_text(
        "study: seeds\nbudget: {trials: 3}\nfinalists: {top: 0}\npruning: {rule: none}\n"
        "trial: {kimg: 10, seed: {choices: [0, 1, 2]}}\n"
    )
    work = make_driver(tmp_path, load_space(file)).next_assignment()
    assert isinstance(work, Assignment) and not work.has_peers
