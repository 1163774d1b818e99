"""A killed search resumes as if nothing had happened; other searches are refused."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import optuna
import pytest

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.driver import Driver
from gantune.tuner.recovery import open_study, repair_journal
from gantune.tuner.state import RunState
from tests.examples import in_integration
from tests.tuner.factory import by_lr, dump_sqlite, make_driver, open_url, play, score, toy_space


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> RunState:
    """The final state of a search that nothing interrupts."""
    path = tmp_path_factory.mktemp("uninterrupted")
    play(make_driver(path, toy_space(path)), by_lr)
    return make_driver(path, toy_space(path)).state()


@pytest.mark.parametrize("stop", [3, 9, *in_integration(1, 2, 5, 7, 11)])
def test_a_killed_search_resumes_as_if_nothing_had_happened(
    tmp_path: Path, uninterrupted: RunState, stop: int
) -> None:
    space = toy_space(tmp_path)
    first = play(make_driver(tmp_path, space), by_lr, stop_after=stop)
    second = play(make_driver(tmp_path, space), by_lr)
    assert not set(first) & set(second)
    expected, found = uninterrupted, make_driver(tmp_path, space).state()
    assert [t.params for t in found.trials] == [t.params for t in expected.trials]
    assert [t.value for t in found.trials] == [t.value for t in expected.trials]
    assert found.ranking == expected.ranking


@pytest.mark.parametrize(
    ("sampler", "cut_at"),
    [
        *(("tpe", "draws"), ("random", "draws"), ("qmc", "draws")),
        pytest.param("tpe", "writes", marks=pytest.mark.integration),
    ],
)
def test_a_journal_that_a_kill_ends_after_any_write_leads_to_the_same_search(
    tmp_path: Path, sampler: str, cut_at: str
) -> None:
    def finished(name: str, lines: list[bytes]) -> tuple[list[object], list[bytes]]:
        (tmp_path / name / "run").mkdir(parents=True)
        journal = tmp_path / name / "run" / "study.journal"
        journal.write_bytes(b"".join(lines))
        driver = make_driver(tmp_path / name, space)
        play(driver, by_lr)
        records = (*driver.trials(), *driver.finalists())
        fields = [(r.name, r.params, r.outcome, r.rungs, r.value) for r in records]
        return list(fields), journal.read_bytes().splitlines(keepends=True)

    budget = ("budget.trials=12", "finalists={top: 1, seeds: 1}")
    space = toy_space(tmp_path, f"sampler.name={sampler}", *budget, "pruning.rule=halving")
    expected, lines = finished("undisturbed", [])
    draws = [k for k, line in enumerate(lines) if b'"param_name"' in line]
    cuts = range(1, len(lines)) if cut_at == "writes" else [k + 1 for k in draws[4::9]]
    for cut in cuts:
        assert finished(f"cut-{cut}", lines[:cut])[0] == expected, lines[cut - 1]


def test_a_running_trial_is_handed_out_again_with_its_config(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    lost = driver.next_assignment()
    again = make_driver(tmp_path, toy_space(tmp_path)).next_assignment()
    assert isinstance(lost, Assignment)
    assert again == lost


def test_a_torn_journal_line_is_removed(tmp_path: Path) -> None:
    play(make_driver(tmp_path, toy_space(tmp_path)), by_lr, stop_after=3)
    with (tmp_path / "run" / "study.journal").open("ab") as journal:
        journal.write(b'{"op_code":4,"worker')
    (tmp_path / "run" / "study.journal.lock").symlink_to("study.journal")
    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, by_lr)
    assert sum(driver.state().outcome_counts.values()) == 8


def frozen(driver: Driver) -> list[tuple[str, Any, Any, Any]]:
    """The parts of each run that must never change."""
    records = (*driver.trials(), *driver.finalists())
    return [(r.name, r.params, r.outcome, r.rungs) for r in records if r.outcome is not None]


@pytest.mark.integration
def test_a_journal_torn_at_any_byte_loses_nothing(tmp_path: Path) -> None:
    """Cuts the journal within its last operations; the outcomes are then read from the folders."""
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
    last = len(lines) - 1 - is_end[::-1].index(True)  # where the outcome of the last run is stored
    kept: set[bytes] = set()
    for cut in range(sum(map(len, lines[:last])), len(content)):
        driver.folder.journal.write_bytes(content[:cut] + "é".encode()[: cut % 2])
        repair_journal(driver.folder.journal)
        kept.add(driver.folder.journal.read_bytes())
    assert kept == {b"".join(lines[:count]) for count in range(last, len(lines))}
    for whole in kept:
        driver.folder.journal.write_bytes(whole)
        again = make_driver(tmp_path, space)
        assert play(again, by_lr) == []  # none is trained twice
        assert frozen(again) == expected


def test_a_run_whose_folder_holds_another_config_is_trained(tmp_path: Path) -> None:
    space = toy_space(tmp_path, "budget.trials=2", "finalists.top=0")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    names = ("trials/0000", "trials/0001")
    driver.folder.journal.unlink()
    driver.folder.trial(names[0]).config.write_text("kimg: 3\n")
    driver.folder.trial(names[1]).verdict.write_text('{"ending": ')
    assert play(make_driver(tmp_path, space), by_lr) == [*names]


def test_the_outcome_of_another_config_is_never_taken_for_that_of_a_trial(tmp_path: Path) -> None:
    """Also not if the folder has the trial's config and the driver was killed before its end."""
    space = toy_space(tmp_path, "budget.trials=1", "finalists.top=0")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    driver.folder.journal.unlink()
    driver.folder.trial("trials/0000").config.write_text("kimg: 3\n")
    assert isinstance(make_driver(tmp_path, space).next_assignment(), Assignment)
    assert play(make_driver(tmp_path, space), by_lr) == ["trials/0000"]


def test_an_outcome_that_a_kill_left_out_is_written_at_the_next_start(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    play(driver, by_lr, stop_after=2)
    verdict = driver.folder.trial("trials/0001").verdict
    verdict.unlink()
    place = driver.folder.trial("trials/0001")
    for path in (place.last, place.last_backup, place.best_backup):
        path.touch()
    make_driver(tmp_path, toy_space(tmp_path))
    assert verdict.exists()
    assert not any(path.exists() for path in (place.last, place.last_backup, place.best_backup))


def test_results_that_a_kill_left_out_are_written_at_the_next_start(tmp_path: Path) -> None:
    driver = make_driver(tmp_path, toy_space(tmp_path))
    work = driver.next_assignment()
    assert isinstance(work, Assignment)
    driver.finish(work.name, Outcome("completed", 10, score=score(5.0)))  # then it is killed
    assert not driver.folder.table.exists()
    make_driver(tmp_path, toy_space(tmp_path)).flush_results()
    assert driver.folder.table.exists() and driver.folder.best.exists()


@pytest.mark.integration
def test_two_spaces_of_one_name_do_not_share_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    play(make_driver(tmp_path, toy_space(tmp_path), url), by_lr, stop_after=1)
    with pytest.raises(RunError, match=r"of another space(.|\n)*--set study="):
        make_driver(tmp_path, toy_space(tmp_path, "kimg=3"), url)


@pytest.mark.integration
def test_the_study_of_another_search_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    space = toy_space(tmp_path)
    play(make_driver(tmp_path, space, f"sqlite:///{file}"), lambda config: 1.0)
    before = dump_sqlite(file)
    other = toy_space(tmp_path, "kimg=9")
    storage = open_url(f"sqlite:///{file}")
    with pytest.raises(RunError, match=r"another space \(\w+, not \w+\); give this one another"):
        open_study(storage, other, RunFolder(tmp_path / "other"))
    assert dump_sqlite(file) == before
    open_study(storage, space, RunFolder(tmp_path / "other"))
    assert dump_sqlite(file) == before


@pytest.mark.integration
def test_a_study_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    storage = open_url(url)
    optuna.create_study(storage=storage, study_name="toy").ask()
    with pytest.raises(RunError, match="gantune did not create"):
        open_study(storage, toy_space(tmp_path), RunFolder(tmp_path / "run"))
    optuna.delete_study(study_name="toy", storage=storage)
    optuna.create_study(storage=storage, study_name="toy.finalists").ask()
    with pytest.raises(RunError, match=r"delete the study 'toy.finalists' too"):
        open_study(storage, toy_space(tmp_path), RunFolder(tmp_path / "run"))


def delete_rows(file: Path, study: str, number: int) -> None:
    """Deletes a trial as a user does in the database, which Optuna's API cannot do."""
    with closing(sqlite3.connect(file)) as database:
        (found,) = database.execute(
            "SELECT trial_id FROM trials JOIN studies USING (study_id) "
            "WHERE number = ? AND study_name = ?",
            (number, study),
        ).fetchone()
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'"):
            columns = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            if "trial_id" in columns:
                database.execute(f"DELETE FROM {table} WHERE trial_id = ?", (found,))
        database.commit()


@pytest.mark.parametrize(
    ("deleted", "message"),
    [
        (["toy:3"], ""),
        (["toy:0"], "lacks trial 0"),
        pytest.param(["toy:1", "toy:2"], "lacks trial 1", marks=pytest.mark.integration),
        pytest.param(["toy:2", "toy:3"], "", marks=pytest.mark.integration),
        (["toy.finalists:0"], "lacks finalist 0"),
    ],
)
def test_trials_that_were_deleted_in_the_database(
    tmp_path: Path, deleted: list[str], message: str
) -> None:
    file, space, folder = tmp_path / "studies.db", toy_space(tmp_path), RunFolder(tmp_path / "run")
    storage = open_url(f"sqlite:///{file}")
    open_study(storage, space, folder)
    finals = optuna.create_study(storage=storage, study_name="toy.finalists")
    for study, count in ((optuna.load_study(study_name="toy", storage=storage), 4), (finals, 2)):
        for _ in range(count):
            study.tell(study.ask(), 1.0)
    optuna.load_study(study_name="toy", storage=storage).set_user_attr("space", space.hash)
    for name in deleted:
        study_name, _, number = name.partition(":")
        delete_rows(file, study_name, int(number))
    storage = open_url(f"sqlite:///{file}")
    if message:
        with pytest.raises(RunError, match=f"{message}, as another program .*--set study=mine"):
            open_study(storage, space, folder)
    else:
        open_study(storage, space, folder)
