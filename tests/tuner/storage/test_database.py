"""Databases that cannot be used, and studies of other searches, with SQLite."""

from __future__ import annotations

import builtins
import socket
import sqlite3
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.recovery import open_study
from gantune.tuner.storage import database
from gantune.tuner.storage.database import open_database
from gantune.tuner.storage.lease import LeaseTiming, exclusive_driver
from gantune.tuner.storage.retry import RetryPolicy
from gantune.tuner.storage.url import parse_url
from tests.tuner.factory import make_driver, play, score, toy_space


def opened(url: str) -> database.DatabaseStorage:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    return open_database(parse_url(url), lambda text: None)


def test_a_missing_driver_notifys_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.split(".")[0] in ("psycopg", "MySQLdb"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RunError, match=r"psycopg is not installed; pip install 'gantune\[postgres"):
        opened("postgresql://gan@127.0.0.1/studies")
    with pytest.raises(RunError, match="MySQLdb is not installed; pip install mysqlclient"):
        opened("mysql://gan@127.0.0.1/studies")


def test_an_unknown_kind_is_refused_with_known_ones() -> None:
    with pytest.raises(RunError, match=r"nosuch://h/d cannot be used: no such kind.*sqlite:///"):
        opened("nosuch://h/d")


def test_a_port_where_nobody_listens_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("psycopg")
    monkeypatch.setattr(database, "_OPENING", RetryPolicy(0.5, "check host and port", pause=0.1))
    lines: list[str] = []
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"postgresql://gan:kitten@127.0.0.1:{taken.getsockname()[1]}/studies"
        with pytest.raises(
            RunError, match=r"(?i)tried for.*refused; check host and port"
        ) as caught:
            open_database(parse_url(url), lines.append)
    assert len(lines) == 1 and "trying again for up to" in lines[0]
    assert "kitten" not in lines[0] + str(caught.value)


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("no database, " * 100)
    with pytest.raises(RunError, match=r"notes.txt cannot be used: .*not a database; check the pa"):
        opened(f"sqlite:///{tmp_path}/notes.txt")
    with pytest.raises(RunError, match="unable to open"):
        opened(f"sqlite:///{tmp_path}/no/such/studies.db")


@pytest.mark.parametrize(
    ("version", "words"), [("v2.6.0.a", "older Optuna.*optuna storage upgrade"), ("v9", "newer")]
)
def test_tables_of_another_optuna_are_refused(tmp_path: Path, version: str, words: str) -> None:
    RDBStorage(f"sqlite:///{tmp_path}/studies.db").engine.dispose()
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    with pytest.raises(RunError, match=words):
        opened(f"sqlite:///{tmp_path}/studies.db")


def test_a_locked_file_is_retried(tmp_path: Path) -> None:
    storage = opened(f"sqlite:///{tmp_path}/studies.db?timeout=0.1")
    lines: list[str] = []
    other = sqlite3.connect(tmp_path / "studies.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")

    def unlock(text: str) -> None:
        lines.append(text)
        if other.in_transaction:
            other.execute("COMMIT")

    storage.retrier._notify = unlock
    optuna.create_study(storage=storage, study_name="tiny")
    other.close()
    assert "database is locked" in lines[0] and "reached again" in lines[1]


def test_one_driver_holds_a_study_until_it_ends(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    space = toy_space(tmp_path)
    said: list[str] = []
    timing = LeaseTiming(interval=0.1, limit=60)
    first, second = opened(url), opened(url)
    open_study(first, space, RunFolder(tmp_path / "a"))
    with exclusive_driver(first, "toy", tmp_path / "a", said.append, timing):
        (holder,) = [s.user_attrs["driver"] for s in first.get_all_studies()]
        assert holder["folder"] == str(tmp_path / "a")
        with (
            pytest.raises(RunError, match=f"being searched already.*run folder {tmp_path}/a"),
            exclusive_driver(second, "toy", tmp_path / "b", said.append, timing),
        ):
            raise AssertionError
    with exclusive_driver(second, "toy", tmp_path / "b", said.append, timing):
        assert len(said) == 1


def test_a_driver_that_lost_its_lease_writes_nothing_more(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    space, folder = toy_space(tmp_path), RunFolder(tmp_path / "run")
    first, second = opened(url), opened(url)
    open_study(first, space, folder)
    asleep = LeaseTiming(interval=600, trust=0.0)  # as after a suspension
    awake = LeaseTiming(interval=0.05, limit=0.2)
    with exclusive_driver(first, "toy", tmp_path / "a", lambda text: None, asleep):
        driver = Driver(space, folder, first, SearchContext(lambda config: config, "abc"))
        assignment = driver.next_assignment()
        assert isinstance(assignment, Assignment)
        with exclusive_driver(second, "toy", tmp_path / "b", lambda text: None, awake):
            before = [line for line in dump(tmp_path / "studies.db") if "driver" not in line]
            with pytest.raises(RunError, match=f"was taken over by .*run folder {tmp_path}/b"):
                driver.finish(assignment.name, Outcome("completed", 10, score=score(1.0)))
            for operation in (driver.next_assignment, driver.state, driver.close):
                with pytest.raises(RunError, match="taken over"):
                    operation()
            after = [line for line in dump(tmp_path / "studies.db") if "driver" not in line]
            assert before == after
            assert [t.state for t in second.get_all_trials(1)] == [TrialState.RUNNING]


def test_a_journal_needs_no_lease(tmp_path: Path) -> None:
    with exclusive_driver(optuna.storages.InMemoryStorage(), "toy", tmp_path, lambda text: None):
        pass


def dump(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        lines = list(connection.iterdump())
    connection.close()
    return lines


def test_the_study_of_another_search_is_left_as_it_is(tmp_path: Path) -> None:
    file = tmp_path / "studies.db"
    space = toy_space(tmp_path)
    play(make_driver(tmp_path, space, f"sqlite:///{file}"), lambda config: 1.0)
    before = dump(file)
    other = toy_space(tmp_path, "kimg=9")
    storage = opened(f"sqlite:///{file}")
    with pytest.raises(RunError, match=r"another space \(\w+, not \w+\); give this one another"):
        open_study(storage, other, RunFolder(tmp_path / "other"))
    assert dump(file) == before
    open_study(storage, space, RunFolder(tmp_path / "other"))
    assert dump(file) == before


def test_a_study_of_another_program_is_left_as_it_is(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    storage = opened(url)
    optuna.create_study(storage=storage, study_name="toy").ask()
    with pytest.raises(RunError, match="gantune did not create"):
        open_study(storage, toy_space(tmp_path), RunFolder(tmp_path / "run"))
    optuna.delete_study(study_name="toy", storage=storage)
    optuna.create_study(storage=storage, study_name="toy.finalists").ask()
    with pytest.raises(RunError, match=r"delete the study 'toy.finalists' too"):
        open_study(storage, toy_space(tmp_path), RunFolder(tmp_path / "run"))
