"""Optuna studies: samplers, scores of rungs, and notes for dashboards."""

from __future__ import annotations

import time
from pathlib import Path

import optuna
import pytest

from gantune.scores.score import Score
from gantune.space import load_space
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.tuner.study import Study, note_attributes, severity
from tests.tuner.factory import by_lr, get_note, make_driver, play, score, toy_space


@pytest.fixture
def study() -> optuna.Study:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return optuna.create_study()


@pytest.mark.integration
def test_the_dashboard_reads_notes_of_study_and_trials(study: optuna.Study) -> None:

    trials = [study.ask(), study.ask()]
    ours = Study(study, "trial")
    for text in ("x" * 5000, "short", "y" * 2046):
        ours.save_note(text)
        ours.save_note(text[::-1] + "!", 1)
        assert get_note(study) == text
        assert get_note(trials[1]) == text[::-1] + "!"
    assert get_note(trials[0]) == ""


def test_a_note_that_a_person_has_edited_stays(study: optuna.Study) -> None:
    from optuna_dashboard import save_note

    ours = Study(study, "trial")
    ours.save_note("ours")
    save_note(study, "a person's")
    ours.save_note("ours again")
    assert get_note(study) == "a person's"


def test_an_unchanged_note_is_not_written_again() -> None:
    attributes = dict(note_attributes("text", 7, {}))
    assert len(attributes) == 2 and not note_attributes("text", 7, attributes)
    assert note_attributes("other", 7, attributes) == {"dashboard:7:note_str:0": "other"}


def test_severity_is_larger_the_earlier_a_run_broke() -> None:
    early, late = (severity(Outcome("diverged", kimg), 40.0) for kimg in (2.0, 38.0))
    assert early > late > 0
    assert severity(Outcome("pruned", 10.0), 40.0) == -1
    kept: Score = score(3.0)
    assert severity(Outcome("collapsed", 10.0, score=kept), 40.0) == -1


def test_the_same_seed_draws_the_same_trials(tmp_path: Path) -> None:
    tables = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        driver = make_driver(tmp_path / name, toy_space(tmp_path / name, "budget.trials=15"))
        play(driver, by_lr)
        tables.append((tmp_path / name / "run" / "trials.csv").read_text())
    assert tables[0] == tables[1]


@pytest.mark.parametrize("name", ["tpe", "random", "qmc"])
def test_every_sampler_searches_the_whole_budget(tmp_path: Path, name: str) -> None:
    space = toy_space(tmp_path, f"sampler.name={name}", "budget.trials=14")
    play(make_driver(tmp_path, space), by_lr, stop_after=9)
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    drawn = {record.params["generator.lr"] for record in driver.state().trials}
    assert len(drawn) == 14


def test_what_the_quasi_random_sequence_lacks_is_drawn_anew_for_each_trial(tmp_path: Path) -> None:
    """Only some trials have a gradient penalty, and the first one, which sets what it has, none."""
    space = load_space("gan_landscape", ["sampler.name=qmc", "budget.trials=14"])
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    name = "penalties.gradient_penalty.weight"
    drawn = [r.params[name] for r in driver.trials() if not r.is_start and name in r.params]
    assert len(drawn) == len(set(drawn)) > 1


def test_a_rung_reported_twice_keeps_its_first_score(tmp_path: Path) -> None:

    driver = make_driver(tmp_path, toy_space(tmp_path))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    driver.report(work.name, RungReport(0.5, 5.0, score(7.0)))
    again = make_driver(tmp_path, toy_space(tmp_path))
    same = again.next_assignment()
    assert isinstance(same, Assignment)
    again.report(same.name, RungReport(0.5, 5.0, score(9.0)))
    assert again.state().trials[0].rungs == {50: 7.0}


def test_every_run_stores_when_it_started_and_ended(tmp_path: Path) -> None:
    before = time.time()
    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, lambda config: 1.0, stop_after=3)
    ended = [record for record in driver.trials() if record.outcome is not None]
    (running,) = [record for record in driver.trials() if record.outcome is None]
    for record in ended:
        assert record.begun is not None and record.ended is not None
        assert before - 1 <= record.begun <= record.ended <= time.time() + 1
    assert len(ended) == 3 and running.begun is not None and running.ended is None
