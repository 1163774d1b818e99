"""Databases that cannot be used, with SQLite."""

from __future__ import annotations

import builtins
import socket
import sqlite3
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import pytest
from optuna.storages import RDBStorage

from gantune.errors import RunError
from gantune.tuner.storage import database
from gantune.tuner.storage.database import open_database
from gantune.tuner.storage.retry import Retrier
from gantune.tuner.storage.url import parse_url
from tests.tuner.factory import open_url


def test_a_missing_driver_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *arguments: Any, **options: Any) -> Any:
        if name.split(".")[0] in ("psycopg", "MySQLdb"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return original(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(RunError, match=r"psycopg is not installed; pip install 'gantune\[postgres"):
        open_url("postgresql://gan@127.0.0.1/studies")
    with pytest.raises(RunError, match="MySQLdb is not installed; pip install mysqlclient"):
        open_url("mysql://gan@127.0.0.1/studies")


def test_an_unknown_kind_is_refused_with_known_ones() -> None:
    with pytest.raises(RunError, match=r"nosuch://h/d cannot be used: no such kind.*sqlite:///"):
        open_url("nosuch://h/d")


def test_a_port_where_nobody_listens_is_retried(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pytest.importorskip("psycopg")
    opening = partial(Retrier, seconds=0.5, remedy="check host and port", pause=0.1)
    monkeypatch.setattr(database, "_OPENING", opening)
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
        open_url(f"sqlite:///{tmp_path}/notes.txt")
    with pytest.raises(RunError, match="unable to open"):
        open_url(f"sqlite:///{tmp_path}/no/such/studies.db")


@pytest.mark.parametrize(
    ("version", "words"), [("v2.6.0.a", "older Optuna.*optuna storage upgrade"), ("v9", "newer")]
)
def test_tables_of_another_optuna_are_refused(tmp_path: Path, version: str, words: str) -> None:
    RDBStorage(f"sqlite:///{tmp_path}/studies.db").engine.dispose()
    with sqlite3.connect(tmp_path / "studies.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", (version,))
    connection.close()
    with pytest.raises(RunError, match=words):
        open_url(f"sqlite:///{tmp_path}/studies.db")


def test_a_locked_file_is_retried(tmp_path: Path) -> None:
    storage = open_url(f"sqlite:///{tmp_path}/studies.db?timeout=0.1")
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
