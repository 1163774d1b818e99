"""The journal and databases as storages of a search."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest
from optuna.storages.journal import JournalFileBackend

from gantune.errors import RunError
from tests.tuner.factory import by_lr, make_driver, play, toy_space


def test_a_journal_damaged_before_its_end_is_refused(tmp_path: Path) -> None:
    space = toy_space(tmp_path, "budget.trials=2", "finalists.top=0")
    driver = make_driver(tmp_path, space)
    play(driver, by_lr)
    lines = driver.folder.journal.read_bytes().splitlines(keepends=True)
    lines[3] = lines[3][:9] + b"\n"
    driver.folder.journal.write_bytes(b"".join(lines))
    with pytest.raises(RunError, match=r"study.journal: damaged before its end.*--out"):
        make_driver(tmp_path, space)


def test_a_disk_that_fills_within_a_line_leaves_no_torn_line(
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


@pytest.mark.integration
def test_a_study_may_be_in_a_database(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/studies.db"
    space = toy_space(tmp_path, "budget.trials=4")
    play(make_driver(tmp_path, space, url), by_lr, stop_after=2)
    driver = make_driver(tmp_path, space, url)
    play(driver, by_lr)
    assert sum(driver.state().outcome_counts.values()) == 4
    assert not (tmp_path / "run" / "study.journal").exists()


def test_a_missing_database_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="storage"):
        make_driver(tmp_path, toy_space(tmp_path), "nosuchthing://user:secret@host/db")
