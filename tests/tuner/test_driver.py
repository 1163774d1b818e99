"""The driver with canned curves: what it hands out, prunes, remembers and writes."""

from __future__ import annotations

import csv
import errno
import math
import re
import time
from pathlib import Path
from typing import Any

import pytest
from optuna.storages.journal import JournalFileBackend

from gantune.config import TrialConfig, load_config
from gantune.errors import RunError, TrainingError
from gantune.scores.score import Score
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.driver import Driver
from gantune.tuner.records import Wait
from gantune.tuner.recovery import repair_journal
from gantune.tuner.state import RunState
from gantune.tuner.study import severity
from tests.report.factory import begun
from tests.tuner.factory import make_driver, play, score, toy_space, train


def by_lr(config: TrialConfig) -> float:
    """Best at 1e-3; the seed moves it a little."""
    return 5 + abs(math.log10(config.generator.lr) + 3) + 0.01 * config.seed


def test_a_search_ends_with_its_budget_finalists_and_best_config(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    ended = play(driver, by_lr)
    state = driver.state()
    assert [name for name in ended if name.startswith("trials/")] == [
        f"trials/{n:04d}" for n in range(8)
    ]
    assert len(state.finalists) in (4, 6)  # two seeds of two, and of the start recipe
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


def test_the_same_seed_draws_the_same_trials(tmp_path: Path) -> None:
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        driver = make_driver(tmp_path / name, toy_space(tmp_path / name, "budget.trials=15"))
        play(driver, by_lr)
        tables.append((tmp_path / name / "run" / "trials.csv").read_text())
    assert tables[0] == tables[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunState:
    """What a search comes to that nothing interrupts."""
    path = tmp_path_factory.mktemp("whole")
    play(make_driver(path, toy_space(path)), by_lr)
    return make_driver(path, toy_space(path)).state()


@pytest.mark.parametrize("stop", range(1, 12))
def test_a_killed_search_goes_on_as_if_nothing_had_happened(
    tmp_path: Path, whole: RunState, stop: int
) -> None:
    space = toy_space(tmp_path)
    first = play(make_driver(tmp_path, space), by_lr, stop_after=stop)
    second = play(make_driver(tmp_path, space), by_lr)
    assert not set(first) & set(second)
    expected, found = whole, make_driver(tmp_path, space).state()
    assert [t.params for t in found.trials] == [t.params for t in expected.trials]
    assert [t.value for t in found.trials] == [t.value for t in expected.trials]
    assert found.ranking == expected.ranking


def test_a_running_trial_is_handed_out_again_with_its_config(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    lost = driver.next_assignment()
    again = make_driver(tmp_path, toy_space(tmp_path)).next_assignment()
    assert isinstance(lost, Assignment)
    assert again == lost


def test_a_torn_journal_line_is_cut_off(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path)), by_lr, stop_after=3)
    with (tmp_path / "run" / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker')
    (tmp_path / "run" / "study.journal.lock").symlink_to("study.journal")
    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, by_lr)
    assert sum(driver.state().outcome_counts.values()) == 8


def frozen(driver: Driver) -> list[tuple[str, Any, Any, Any]]:
    """What of each run must never change."""
    records = (*driver.trials(), *driver.finalists())
    return [(r.name, r.params, r.outcome, r.rungs) for r in records if r.outcome is not None]


def test_a_journal_torn_at_any_byte_loses_nothing(tmp_path: Path) -> None:
    """Cut within the last operations of a search: what its folders tell is taken from there."""
    space = toy_space(tmp_path, "budget.trials=4", "finalists.top=1", "finalists.seeds=1")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    for record in (*driver.trials(), *driver.finalists()):
        for number, value in record.rungs.items():
            line = {"kimg": 1.0, "rung": number / 100, "value": value}
            driver.folder.trial(record.name).add_score(line)
    expected = frozen(driver)
    content = driver.folder.journal.read_bytes()
    lines = content.splitlines(keepends=True)
    is_end = [b'"outcome"' in line for line in lines]
    last = len(lines) - 1 - is_end[::-1].index(True)  # of the last run: its end is told from here
    kept: set[bytes] = set()
    for cut in range(sum(map(len, lines[:last])), len(content)):
        driver.folder.journal.write_bytes(content[:cut] + "é".encode()[: cut % 2])
        repair_journal(driver.folder.journal)
        kept.add(driver.folder.journal.read_bytes())
    assert kept == {b"".join(lines[:count]) for count in range(last, len(lines))}
    for whole in kept:
        driver.folder.journal.write_bytes(whole)
        again = make_driver(tmp_path, space)
        assert play(again, by_lr) == []  # none twice
        assert frozen(again) == expected


def test_a_run_whose_folder_tells_of_another_config_is_trained(tmp_path: Path) -> None:
    space = toy_space(tmp_path, "budget.trials=2", "finalists.top=0")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    names = ("trials/0000", "trials/0001")
    driver.folder.journal.unlink()
    driver.folder.trial(names[0]).config.write_text("kimg: 3\n")
    driver.folder.trial(names[1]).verdict.write_text('{"ending": ')
    assert play(make_driver(tmp_path, space), by_lr) == [*names]


def test_the_ending_of_another_config_is_never_taken_for_a_trials_own(tmp_path: Path) -> None:
    """Also not once the folder holds the trial's config and its driver is killed before its end."""
    space = toy_space(tmp_path, "budget.trials=1", "finalists.top=0")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    driver.folder.journal.unlink()
    driver.folder.trial("trials/0000").config.write_text("kimg: 3\n")
    assert isinstance(make_driver(tmp_path, space).next_assignment(), Assignment)
    assert play(make_driver(tmp_path, space), by_lr) == ["trials/0000"]


def test_a_journal_damaged_before_its_end_is_refused(tmp_path: Path) -> None:
    space = toy_space(tmp_path, "budget.trials=2", "finalists.top=0")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    lines = driver.folder.journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:9] + b"\n"
    driver.folder.journal.write_bytes(b"".join(lines))
    with pytest.raises(RunError, match=r"study.journal: damaged before its end.*--out"):
        make_driver(tmp_path, space)


def test_a_disk_that_fills_within_a_line_leaves_none_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    space = toy_space(tmp_path, "budget.trials=2", "finalists.top=0")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr, stop_after=1)
    before = driver.folder.journal.read_bytes()

    def full(*_: object) -> None:
        with driver.folder.journal.open("ab") as file:
            file.write(b'{"op_code": 5, "wor')
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(JournalFileBackend, "append_logs", full)
        with pytest.raises(OSError, match="No space"):
            driver.close()
    assert driver.folder.journal.read_bytes() == before
    driver.close()
    assert len(play(make_driver(tmp_path, space), by_lr)) == 1


def test_more_trials_extend_a_finished_search(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path)), by_lr)
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=10"))
    ended = play(driver, by_lr)
    assert ended[:2] == ["trials/0008", "trials/0009"]
    assert len(driver.state().trials) == 10


def test_finals_of_another_length_are_trained_anew_and_ranked_alone(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path)), by_lr)
    driver = make_driver(tmp_path, toy_space(tmp_path, "finalists.kimg=2x"))
    ended = play(driver, by_lr)
    assert ended
    assert all(name.startswith("finalists/") for name in ended)
    assert {run.budget_kimg for run in driver.state().finalists} == {10, 20}
    assert all(len(ranked.seeds) == 2 for ranked in driver.state().ranking)
    assert load_config(tmp_path / "run" / "best.yaml").kimg == 20


def test_diverged_trials_count_and_teach_the_sampler(tmp_path: Path) -> None:
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


def test_a_finalist_that_breaks_on_a_seed_ranks_behind(tmp_path: Path) -> None:
    def breaks_on_seed_two(config: TrialConfig) -> float | str:
        if config.seed == 2 and config.generator.lr != 2e-4:
            return "diverged"
        return by_lr(config)

    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, breaks_on_seed_two)
    ranking = driver.state().ranking
    assert ranking[0].is_start
    assert all("seed 2 diverged" in ranked.warnings for ranked in ranking[1:])


def test_idle_slots_train_the_start_recipe_and_then_wait(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=1"))
    work = [driver.next_assignment() for _ in range(4)]
    assert [w.name for w in work[:3] if isinstance(w, Assignment)] == [
        "trials/0000",
        "finalists/0000",
        "finalists/0001",
    ]
    assert isinstance(work[3], Wait)


def test_several_slots_give_the_whole_budget_once(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    ended = play(driver, by_lr, slots=3)
    assert len(ended) == len(set(ended))
    assert sum(driver.state().outcome_counts.values()) == 8


def test_an_early_final_of_the_start_recipe_is_not_the_winner_yet(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=2"))
    first, second, final = (
        driver.next_assignment(),
        driver.next_assignment(),
        driver.next_assignment(),
    )
    assert isinstance(first, Assignment) and isinstance(second, Assignment)
    assert isinstance(final, Assignment) and final.kind == "finalist"
    driver.finish(final.name, Outcome("completed", 10, score=score(51.0)))
    assert driver.state().best is None
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
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget.trials=1"))
    trial, final = driver.next_assignment(), driver.next_assignment()
    assert isinstance(trial, Assignment) and isinstance(final, Assignment)
    driver.finish(final.name, Outcome("completed", 10, score=score(4.0)))
    driver.finish(trial.name, Outcome("diverged", 2))
    play(driver, by_lr)
    assert driver.state().best is None


def test_an_ending_that_a_kill_kept_from_the_folder_is_written_later(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, by_lr, stop_after=2)
    verdict = driver.folder.trial("trials/0001").verdict
    verdict.unlink()
    place = driver.folder.trial("trials/0001")
    for path in (place.last, place.previous, place.former_best):
        path.touch()
    make_driver(tmp_path, toy_space(tmp_path))
    assert verdict.exists()
    assert not any(path.exists() for path in (place.last, place.previous, place.former_best))


def test_two_spaces_of_one_name_do_not_share_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    play(make_driver(tmp_path, toy_space(tmp_path), url), by_lr, stop_after=1)
    with pytest.raises(RunError, match=r"of another space(.|\n)*--set study="):
        make_driver(tmp_path, toy_space(tmp_path, "kimg=3"), url)


def test_the_time_budget_ends_the_trials_but_not_the_finals(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path, "budget={time: 1h}"))
    for _ in range(3):
        work = driver.next_assignment()
        assert isinstance(work, Assignment)
        train(driver, work, by_lr)
    driver._earlier_seconds = 3600.0  # as if an earlier command had used it up
    assert all(name.startswith("finalists/") for name in play(driver, by_lr))
    assert len(driver.state().trials) == 3


def test_a_rung_reported_twice_keeps_its_first_score(tmp_path: Path) -> None:
    from gantune.trial.records import RungReport

    driver = make_driver(tmp_path, toy_space(tmp_path))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    driver.report(work.name, RungReport(0.5, 5.0, score(7.0)))
    again = make_driver(tmp_path, toy_space(tmp_path))
    same = again.next_assignment()
    assert isinstance(same, Assignment)
    again.report(same.name, RungReport(0.5, 5.0, score(9.0)))
    assert again.state().trials[0].rungs == {50: 7.0}


def test_what_lies_in_the_folder_after_a_search(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    run = tmp_path / "run"
    rungs = begun(run)
    play(driver, by_lr)
    rows = list(csv.DictReader((run / "trials.csv").read_text().splitlines()))
    assert [row["number"] for row in rows] == [str(n) for n in range(8)]
    assert {"ending", "score", "generator.lr", "batch_size", "rung_50"} <= set(rows[0])
    assert {(bool(row["rung_50"]), row["rung_protocol"]) for row in rows} == {(True, rungs.hash)}
    assert (run / "trials/0003/config.yaml").exists()
    assert '"ending"' in (run / "trials/0003/verdict.json").read_text()
    head = (run / "best.yaml").read_text().splitlines()[0]
    assert head.startswith("# fid[test] ") and f"protocol {score(1.0).protocol.hash}" in head
    assert re.search(r" \S+ ± \S+ over 2 seeds \(sampling error 0\.10\)", head)
    assert "over 2 seeds" in driver._trials.attributes["note"]
    assert {row["recall"] for row in rows if row["score"]} == {"0.6"}


def test_a_config_is_written_once_no_worker_waits_and_before_its_run_ends(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    first, second = driver.next_assignment(), driver.next_assignment()
    assert isinstance(first, Assignment) and isinstance(second, Assignment)
    places = [driver.folder.trial(work.name) for work in (first, second)]
    assert [(at.path.is_dir(), at.config.exists()) for at in places] == [(True, False)] * 2
    driver.finish(first.name, Outcome("crashed", 1.0, error="boom"))
    assert load_config(places[0].config) == first.config
    for write in (driver.flush_results, driver.close):
        work = driver.next_assignment()
        write()
        assert isinstance(work, Assignment)
        assert load_config(driver.folder.trial(work.name).config) == work.config


def test_results_that_a_kill_left_out_are_written_at_the_next_start(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    driver.finish(work.name, Outcome("completed", 10, score=score(5.0)))  # then it is killed
    assert not driver.folder.table.exists()
    make_driver(tmp_path, toy_space(tmp_path)).flush_results()
    assert driver.folder.table.exists() and driver.folder.best.exists()


def test_results_that_take_long_to_write_are_not_written_at_every_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    monkeypatch.setattr("gantune.tuner.results._QUICK", 0.0)
    monkeypatch.setattr("gantune.tuner.results._PAUSE", 1e9)
    play(driver, lambda config: 5.0, stop_after=3)
    rows = driver.folder.table.read_text().splitlines()
    assert len(rows) == 2  # the head and the first trial
    driver.close()
    assert len(driver.folder.table.read_text().splitlines()) > 3
    driver.folder.table.unlink()
    driver.close()
    assert not driver.folder.table.exists()  # nothing has happened since


def test_checkpoints_stay_for_the_ten_best(tmp_path: Path) -> None:
    driver = make_driver(
        tmp_path, toy_space(tmp_path, "budget.trials=14", "pruning.rule=none", "finalists.top=0")
    )
    while isinstance(work := driver.next_assignment(), Assignment):
        folder = driver.folder.trial(work.name)
        for path in (folder.best, folder.last):
            path.touch()
        train(driver, work, by_lr)
        driver.flush_results()
    driver.close()  # writes what a busy machine left out
    kept = [t for t in driver.state().survivors if driver.folder.trial(t.name).best.exists()]
    assert kept == driver.state().survivors[:10]
    assert not list((tmp_path / "run").glob("trials/*/last.pt"))


def test_severity_is_larger_the_earlier_a_run_broke() -> None:
    early, late = (severity(Outcome("diverged", kimg), 40.0) for kimg in (2.0, 38.0))
    assert early > late > 0
    assert severity(Outcome("pruned", 10.0), 40.0) == -1
    kept: Score = score(3.0)
    assert severity(Outcome("collapsed", 10.0, score=kept), 40.0) == -1


@pytest.mark.parametrize("name", ["tpe", "random", "qmc"])
def test_every_sampler_searches_the_whole_budget(tmp_path: Path, name: str) -> None:
    space = toy_space(tmp_path, f"sampler.name={name}", "budget.trials=14")
    play(make_driver(tmp_path, space), by_lr, stop_after=9)
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    drawn = {record.params["generator.lr"] for record in driver.state().trials}
    assert len(drawn) == 14


def test_a_study_may_lie_in_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    space = toy_space(tmp_path, "budget.trials=4")
    play(make_driver(tmp_path, space, url), by_lr, stop_after=2)
    driver = make_driver(tmp_path, space, url)
    play(driver, by_lr)
    assert sum(driver.state().outcome_counts.values()) == 4
    assert not (tmp_path / "run" / "study.journal").exists()


def test_a_database_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="storage"):
        make_driver(tmp_path, toy_space(tmp_path), "nosuchthing://user:secret@host/db")


def test_every_run_notes_when_it_began_and_ended(tmp_path: Path) -> None:
    before = time.time()
    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, lambda config: 1.0, stop_after=3)
    ended = [record for record in driver.trials() if record.outcome is not None]
    (running,) = [record for record in driver.trials() if record.outcome is None]
    for record in ended:
        assert record.begun is not None and record.ended is not None
        assert before - 1 <= record.begun <= record.ended <= time.time() + 1
    assert len(ended) == 3 and running.begun is not None and running.ended is None
