"""A note in a database: whoever compares with what stood there before swaps nothing."""

from __future__ import annotations

from pathlib import Path

from optuna.storages import RDBStorage

from gantune.tuner.storage.database import StudyAttribute


def test_only_who_knows_what_stands_there_changes_it(tmp_path: Path) -> None:
    storage = RDBStorage(f"sqlite:///{tmp_path}/studies.db")
    study = storage.create_new_study([], "tiny")
    storage.set_study_user_attr(study, "note", "another")
    cell, other = (StudyAttribute(storage.engine, study, "driver") for _ in range(2))
    assert cell.read() is None
    assert cell.swap(None, '"mine"')
    assert other.read() == '"mine"'
    assert not other.swap(None, '"other"')
    assert not other.swap('"older"', '"other"')
    assert not other.swap('"older"', None)
    assert cell.read() == '"mine"'
    assert cell.swap('"mine"', '"mine, later"')
    assert storage.get_study_user_attrs(study) == {"note": "another", "driver": "mine, later"}
    assert other.swap('"mine, later"', None)
    assert cell.read() is None
    assert storage.get_study_user_attrs(study) == {"note": "another"}
    storage.engine.dispose()
