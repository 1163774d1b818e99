"""The driver with canned curves: assignments, pruning and finals."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantune.config import TrialConfig, load_config
from gantune.errors import TrainingError
from gantune.space import load_space
from gantune.trial.records import Assignment, Ending, Outcome, Wait
from gantune.tuner.state import Timing
from tests.tuner.factory import by_lr, make_driver, play, score, toy_space, train


def test_a_search_ends_with_finalists_and_a_best_config(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    ended = play(driver, by_lr)
    state = driver.state()
    assert [name for name in ended if name.startswith("trials/")] == [
        f"trials/{n:04d}" for n in range(8)
    ]
    assert len(state.finalists) in (4, 6)  # two seeds of two finalists and of the start recipe
    assert {run.seed for run in state.finalists} == {1, 2}
    winner = state.ranking[0]
    assert f"choice is trial {winner.origin}:" in driver._trials.attributes["note"]
    assert f"best trial is {state.survivors[0].number}," in driver._trials.attributes["note"]
    best = load_config(tmp_path / "run" / "best.yaml")
    assert best.generator.lr == pytest.approx(state.trials[winner.origin].params["generator.lr"])
    assert best.seed == 0
    assert winner.mean == min(ranked.mean for ranked in state.ranking)


def test_the_start_recipe_comes_first_and_is_among_the_finalists(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, by_lr)
    state = driver.state()
    assert state.trials[0].is_start
    assert state.trials[0].params["generator.lr"] == 2e-4
    assert [ranked.origin for ranked in state.ranking if ranked.is_start] == [0]


def test_a_run_is_titled_by_what_the_decisions_of_its_space_took(tmp_path: Path) -> None:
    space = load_space("dcgan", ["budget.trials=2", "finalists={top: 1, seeds: 1}"])
    driver, titles = make_driver(tmp_path, space), {}
    while isinstance(work := driver.next_assignment(), Assignment):
        titles[work.name] = work.title
        train(driver, work, by_lr)
    assert titles["trials/0000"] == "trials/0000 (vanilla, batch_norm)"
    finals = [titles[record.name] for record in driver.finalists()]
    assert any(title.endswith(" (vanilla, batch_norm)") for title in finals)


def test_a_run_of_a_space_without_decisions_is_titled_by_its_number(tmp_path: Path) -> None:
    work = make_driver(tmp_path, toy_space(tmp_path)).next_assignment()
    assert isinstance(work, Assignment)
    assert work.title == "trials/0000"


def test_the_median_rule_stops_the_worse_half(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=30"))
    play(driver, by_lr)
    endings = driver.state().outcome_counts
    assert endings["pruned"] > 5
    assert endings["pruned"] + endings["completed"] == 30


def test_without_a_rule_nothing_is_pruned(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "pruning.rule=none"))
    play(driver, by_lr)
    assert driver.state().outcome_counts == {"completed": 8}


def test_the_start_recipe_is_left_out_of_the_finals_where_the_space_says_so(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "finalists.start=false"))
    play(driver, lambda config: 99.0 if config.generator.lr == 2e-4 else by_lr(config), slots=3)
    state = driver.state()
    assert state.trials[0].is_start
    assert len(state.finalists) == 4 and all(run.origin != 0 for run in state.finalists)


@pytest.mark.parametrize(("trials", "starts"), [(2, [0]), (1, [0]), (3, [0, 1])])
def test_of_a_search_of_start_entries_alone_only_the_first_is_the_start_recipe(
    tmp_path: Path, trials: int, starts: list[int]
) -> None:
    entries = "start=[{generator.lr: 2e-4, batch_size: 16}, {generator.lr: 3e-4, batch_size: 32}]"
    driver = make_driver(tmp_path, toy_space(tmp_path, entries, f"budget.trials={trials}"))
    play(driver, by_lr)
    assert [record.number for record in driver.trials() if record.is_start] == starts


def test_start_entries_that_are_added_are_the_next_trials(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path)), by_lr)
    entries = "start=[{generator.lr: 2e-4, batch_size: 16}, {generator.lr: 3e-4, batch_size: 32}]"
    space = toy_space(tmp_path, "budget.trials=10", entries)
    for stop in (1, None):  # killed in between
        driver = make_driver(tmp_path, space)
        play(driver, by_lr, stop_after=stop)
    starts = [record for record in driver.trials() if record.is_start]
    assert [record.number for record in starts] == [0, 8]
    assert starts[1].params == {"generator.lr": 3e-4, "batch_size": 32}


def test_more_trials_extend_a_finished_search(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path)), by_lr)
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=10"))
    ended = play(driver, by_lr)
    assert ended[:2] == ["trials/0008", "trials/0009"]
    assert len(driver.state().trials) == 10


def test_finals_of_another_length_are_trained_again_and_ranked_alone(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path)), by_lr)
    driver = make_driver(tmp_path, toy_space(tmp_path, "finalists.kimg=2x"))
    ended = play(driver, by_lr)
    assert ended
    assert all(name.startswith("finalists/") for name in ended)
    assert {run.budget_kimg for run in driver.state().finalists} == {10, 20}
    assert all(len(ranked.seeds) == 2 for ranked in driver.state().ranking)
    assert load_config(tmp_path / "run" / "best.yaml").kimg == 20


def test_diverged_trials_count_and_constrain_the_sampler(tmp_path: Path) -> None:
    def fragile(config: TrialConfig) -> float | str:
        return "diverged" if config.generator.lr > 1e-3 else by_lr(config)

    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=40"))
    play(driver, fragile)
    trials = driver.state().trials
    assert len(trials) == 40
    for record in trials:
        assert record.outcome is not None
        frozen = driver._trials._frozen(record.number)
        is_broken = record.outcome.ending == "diverged"
        assert frozen.constraints["stable"] == (2 - 1 / 10 if is_broken else -1)
        assert frozen.state.name == ("COMPLETE" if record.outcome.score else "PRUNED")
    assert driver.state().outcome_counts["diverged"] > 0


def test_a_search_without_survivors_has_no_finals_and_no_best(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    assert all(name.startswith("trials/") for name in play(driver, lambda config: "diverged"))
    assert driver.state().best is None
    assert not (tmp_path / "run" / "best.yaml").exists()


def test_crashed_trials_do_not_count_until_there_are_too_many(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.max_failed=2"))
    with pytest.raises(TrainingError, match=r"3 trials crashed(.|\n)*boom"):
        play(driver, lambda config: "crashed")
    crashes = iter(["crashed", "crashed"])
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.max_failed=2"))
    play(driver, lambda config: next(crashes, None) or by_lr(config))
    endings = driver.state().outcome_counts
    assert endings["completed"] + endings["pruned"] == 8


def test_a_finalist_that_lost_classes_cannot_win(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "pruning.rule=none"))
    while isinstance(work := driver.next_assignment(), Assignment) and work.kind == "trial":
        train(driver, work, by_lr)
    ranked_first = driver.state().survivors[0].number
    while isinstance(work, Assignment):
        run = driver.state().finalists[work.number]
        is_best = run.origin == ranked_first
        shares = {"classes": {"0": 1.0, "1": 0.0}, "real_classes": {"0": 0.5, "1": 0.5}}
        assert isinstance(work.config, TrialConfig)
        final = score(1.0, **shares) if is_best else score(by_lr(work.config))
        driver.finish(work.name, Outcome("completed", 10, score=final))
        work = driver.next_assignment()
    ranking = driver.state().ranking
    assert ranking[-1].origin == ranked_first
    assert "1" in ranking[-1].warnings[0]
    assert ranking[0].origin != ranked_first


def test_a_finalist_that_diverges_on_a_seed_ranks_behind(tmp_path: Path) -> None:
    def breaks_on_seed_two(config: TrialConfig) -> float | str:
        if config.seed == 2 and config.generator.lr != 2e-4:
            return "diverged"
        return by_lr(config)

    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, breaks_on_seed_two)
    ranking = driver.state().ranking
    assert ranking[0].is_start
    assert all("seed 2 diverged" in ranked.warnings for ranked in ranking[1:])


def test_idle_workers_train_the_start_recipe_and_then_wait(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=2"))
    start, second = driver.next_assignment(), driver.next_assignment()
    assert isinstance(start, Assignment) and isinstance(second, Assignment)
    assert isinstance(driver.next_assignment(), Wait), "it may fail, and then has no finals"
    driver.finish(start.name, Outcome("completed", 10, score=score(5.0)))
    work = [driver.next_assignment() for _ in range(3)]
    assert [w.name for w in work[:2] if isinstance(w, Assignment)] == [
        "finalists/0000",
        "finalists/0001",
    ]
    assert isinstance(work[2], Wait)


@pytest.mark.parametrize("ending", ["diverged", "stalled", "crashed", "out_of_memory"])
def test_a_start_recipe_that_fails_as_a_trial_is_not_trained_again(
    tmp_path: Path, ending: Ending
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    start = driver.next_assignment()
    assert isinstance(start, Assignment)
    assert driver.state().planned_finalists == 6
    driver.finish(start.name, Outcome(ending, 10))
    assert driver.state().planned_finalists == 4
    play(driver, by_lr)
    state = driver.state()
    assert state.is_over and len(state.finalists) == 4
    assert all(run.origin != 0 for run in state.finalists)


def test_a_start_recipe_with_a_score_is_trained_again_however_it_ended(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    start = driver.next_assignment()
    assert isinstance(start, Assignment)
    driver.finish(start.name, Outcome("collapsed", 10, score=score(500.0)))
    play(driver, by_lr)
    assert sum(run.origin == 0 for run in driver.state().finalists) == 2


def test_several_workers_train_the_whole_budget_once(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    ended = play(driver, by_lr, slots=3)
    assert len(ended) == len(set(ended))
    assert sum(driver.state().outcome_counts.values()) == 8


def test_an_early_final_of_the_start_recipe_is_not_the_winner_yet(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=2"))
    first, second = driver.next_assignment(), driver.next_assignment()
    assert isinstance(first, Assignment) and isinstance(second, Assignment)
    driver.finish(first.name, Outcome("completed", 10, score=score(50.0)))
    final = driver.next_assignment()
    assert isinstance(final, Assignment) and final.kind == "finalist"
    driver.finish(final.name, Outcome("completed", 10, score=score(51.0)))
    assert driver.state().winner is None
    driver.finish(second.name, Outcome("completed", 10, score=score(5.0)))
    best = driver.state().best
    assert best is not None and best.number == second.number
    driver.flush_results()
    assert "fid[test] 5.00 " in (tmp_path / "run" / "best.yaml").read_text().splitlines()[0]
    assert not driver.state().is_over


def test_a_finalist_of_fewer_seeds_than_planned_does_not_win(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "finalists.top=1", "start=[]"))
    while isinstance(work := driver.next_assignment(), Assignment) and work.kind == "trial":
        train(driver, work, by_lr)
    assert isinstance(work, Assignment)
    fallen = driver.state().finalists[0].origin
    driver.finish(work.name, Outcome("completed", 10, score=score(0.1)))  # then it is killed
    space = toy_space(tmp_path, "finalists.top=1", "start=[]", "budget.trials=9")
    driver = make_driver(tmp_path, space)
    better = driver.next_assignment()
    assert isinstance(better, Assignment)
    driver.finish(better.name, Outcome("completed", 10, score=score(0.5)))
    play(driver, lambda config: 3.0)
    state = driver.state()
    assert state.is_over and state.winner is not None
    assert state.winner.origin != fallen
    assert len(state.winner.seeds) == 2


def test_a_final_may_end_before_any_trial_has_a_score(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=2"))
    start, other = driver.next_assignment(), driver.next_assignment()
    assert isinstance(start, Assignment) and isinstance(other, Assignment)
    driver.finish(start.name, Outcome("pruned", 2))
    final = driver.next_assignment()
    assert isinstance(final, Assignment) and final.kind == "finalist"
    driver.finish(final.name, Outcome("completed", 10, score=score(4.0)))
    driver.finish(other.name, Outcome("diverged", 2))
    play(driver, by_lr)
    assert driver.state().best is None


def test_the_time_budget_ends_the_trials_but_not_the_finals(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget={time: 1h}"))
    for _ in range(3):
        work = driver.next_assignment()
        assert isinstance(work, Assignment)
        train(driver, work, by_lr)
    driver._earlier = Timing(3600.0)  # as if an earlier command had used the whole time
    assert all(name.startswith("finalists/") for name in play(driver, by_lr))
    assert len(driver.state().trials) == 3
