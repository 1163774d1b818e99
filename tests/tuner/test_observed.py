"""What samplers see of a study, and what a large study costs."""

from __future__ import annotations

import random
from pathlib import Path

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.samplers import TPESampler
from optuna.samplers._tpe.sampler import _split_trials
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, TrialState

from gantune.space import load_space
from gantune.trial.records import Assignment, Outcome, TrialRecord, Wait
from gantune.tuner.observed import ObservedStudy, OneSpaceTPESampler
from gantune.tuner.pruning import Halving
from gantune.tuner.results import _Table
from tests.tuner.factory import by_lr, make_driver, play, toy_space, train

_RULE = ("pruning={rule: halving}", "budget.trials=20")


def filled(count: int, seed: int, complete: float) -> ObservedStudy:
    """Trials of every kind: complete, unstable, pruned, paused, running, failed."""
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    source, storage = random.Random(seed), InMemoryStorage()
    optuna.create_study(storage=storage, study_name="s")
    study = ObservedStudy("s", storage)
    for _ in range(count):
        kind, value = source.random(), round(source.random(), 3)  # some are equal
        state = TrialState.PRUNED
        attributes: dict[str, object] = {}
        if kind < complete:
            state = TrialState.COMPLETE
        elif kind > 0.97:
            state = source.choice([TrialState.RUNNING, TrialState.FAIL])
        elif kind > 0.5:
            state, attributes = TrialState.RUNNING, {"paused": {"ending": "paused"}}
        percents = [5, 25][: source.choice([0, 1, 1, 2])]
        study.add_trial(
            optuna.create_trial(
                state=state,
                value=value if state == TrialState.COMPLETE else None,
                params={"x": source.random()},
                distributions={"x": FloatDistribution(0, 1)},
                intermediate_values={percent: value for percent in percents},
                user_attrs=attributes,
                constraints={"stable": 1.5} if state.is_finished() and kind % 0.1 < 0.02 else {},
            )
        )
    return study


def as_seen(trial: FrozenTrial) -> FrozenTrial:
    if trial.user_attrs.get("paused"):
        trial.state = TrialState.PRUNED
    return trial


@pytest.mark.parametrize("complete", [0.0, 0.005, 0.1, 0.4])
@pytest.mark.parametrize("count", [40, 900, 1500])
def test_tpe_sees_all_good_trials_and_a_part_of_the_rest(count: int, complete: float) -> None:
    study = filled(count, count, complete)
    states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.RUNNING)
    seen = study._get_trials(deepcopy=False, states=states)
    everything = [as_seen(trial) for trial in study.get_trials(deepcopy=True)]
    of_all = [trial for trial in everything if trial.state in states]
    good, _ = _split_trials(study, of_all, 25)
    seen_good, _ = _split_trials(study, seen, 25)
    assert [trial.number for trial in seen_good] == [trial.number for trial in good]
    ended = [trial for trial in of_all if trial.state != TrialState.RUNNING]
    seen_ended = [trial for trial in seen if trial.state != TrialState.RUNNING]
    assert len(seen_ended) == min(len(ended), 500)
    assert len(seen) - len(seen_ended) == len(of_all) - len(ended)
    numbers = [trial.number for trial in seen]
    assert numbers == sorted(set(numbers))
    assert seen_ended[0].number == ended[0].number
    assert seen_ended[-100:] == ended[-100:] or len(ended) < 100


def test_a_sampler_sees_a_paused_trial_as_pruned_and_nobody_else_does(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *_RULE))
    play(driver, by_lr, stop_after=4)
    study = driver._trials._study
    for use_cache in (True, False):
        seen = study._get_trials(deepcopy=False, use_cache=use_cache)
        assert [trial.state for trial in seen].count(TrialState.PRUNED) == 4
    stored = study.get_trials(deepcopy=False)
    assert all(trial.state == TrialState.RUNNING for trial in stored)


@pytest.mark.parametrize(("shipped", "has_branches"), [("sngan", False), ("gan_landscape", True)])
def test_what_is_drawn_is_what_optunas_tpe_draws(shipped: str, has_branches: bool) -> None:
    space, drawn = load_space(shipped), []
    for make in (OneSpaceTPESampler, TPESampler):
        study = ObservedStudy("s", filled(0, 0, 0.0)._storage)
        for number in range(30):
            study.sampler = make(seed=number)
            trial = study.ask()
            space.sample_config(trial)
            value = number * 37 % 30
            if number % 3:
                study.tell(trial, value)
            else:
                trial.report(value, 5)
                study.tell(trial, state=TrialState.PRUNED)
        drawn.append([trial.params for trial in study.get_trials()])
    assert drawn[0] == drawn[1]
    assert (len({frozenset(params) for params in drawn[0]}) > 1) is has_branches


def test_a_trial_is_parsed_again_only_when_it_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, *_RULE))
    play(driver, by_lr, stop_after=10)
    records = driver.trials()
    parsed: list[object] = []
    monkeypatch.setattr(Outcome, "from_dict", lambda tree: parsed.append(tree))
    again = driver.trials()
    assert not parsed
    assert all(one is other for one, other in zip(records, again, strict=True))


@pytest.mark.parametrize("rule", ["halving", "hyperband"])
def test_a_decision_at_a_rung_compares_no_two_records(
    rule: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else it takes a time that grows with the square of the trials."""
    paused = Outcome("paused", 1.0)
    rungs = [{5: (n * 7919) % 1009 / 1009} for n in range(1000)]
    records = [
        TrialRecord(f"trials/{n:04d}", n, {}, 10.0, rungs[n], outcome=paused) for n in range(1000)
    ]
    monkeypatch.setattr(TrialRecord, "__eq__", lambda *_: pytest.fail("compared"))
    halving = Halving([5, 15, 45], 4, ladders=3 if rule == "hyperband" else 1)
    due = next(iter(halving.due(records)))
    first = [r for r in records if halving._ladder(r.number) == 0]
    assert due.rungs[5] == min(record.rungs[5] for record in first)


def test_a_driver_that_waits_decides_again_only_after_a_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=1", "finalists.top=0"))
    work = driver.next_assignment()
    assert driver.next_assignment() == Wait()
    with monkeypatch.context() as patch:
        patch.setattr(driver, "_next", lambda: pytest.fail("decided again"))
        assert driver.next_assignment() == Wait()
    driver.finish(work.name, Outcome("diverged", 1.0))
    assert driver.next_assignment() != Wait()


def test_the_table_is_as_if_made_anew(tmp_path: Path) -> None:
    driver, table, texts = make_driver(tmp_path, toy_space(tmp_path, *_RULE)), _Table(), []
    while isinstance(work := driver.next_assignment(), Assignment):
        train(driver, work, by_lr)
        texts.append(table.text(driver.trials(), None))
        assert texts[-1] == _Table().text(driver.trials(), None)
    assert len(set(texts)) > 20
