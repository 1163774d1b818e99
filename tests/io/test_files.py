"""Files are written whole or not at all."""

from __future__ import annotations

import errno
import os
import re
import stat
from pathlib import Path

import pytest

from gantune.errors import RunError
from gantune.io.files import explain_write_errors, whole_folder, write_bytes, write_text


def test_write_text_makes_folders_and_leaves_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "file.yaml"
    write_text(path, "first")
    write_text(path, "größer")
    assert path.read_text(encoding="utf-8") == "größer"
    assert [found.name for found in path.parent.iterdir()] == ["file.yaml"]


def test_a_failed_write_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file.yaml"
    write_text(path, "old")

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    assert path.read_text(encoding="utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_others_may_read_what_is_written(tmp_path: Path) -> None:
    path = tmp_path / "file.yaml"
    before = os.umask(0o022)
    try:
        write_text(path, "text")
    finally:
        os.umask(before)
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_bytes_are_written_the_same_way(tmp_path: Path) -> None:
    write_bytes(str(tmp_path / "deep" / "a.pt"), memoryview(b"\x00\xff"))
    assert (tmp_path / "deep" / "a.pt").read_bytes() == b"\x00\xff"
    assert len(list((tmp_path / "deep").iterdir())) == 1


def test_a_folder_is_complete_or_not_there(tmp_path: Path) -> None:
    entry = tmp_path / "cache" / "entry"
    with pytest.raises(ZeroDivisionError), whole_folder(entry, Path.is_dir) as folder:
        (folder / "half").write_text("half")
        assert not entry.exists()
        raise ZeroDivisionError
    assert list(entry.parent.iterdir()) == []
    with whole_folder(entry, Path.is_dir) as folder:
        (folder / "file").write_text("mine")
    assert list(entry.parent.iterdir()) == [entry]
    assert (entry / "file").read_text() == "mine"


def test_the_first_of_two_processes_that_write_a_folder_wins(tmp_path: Path) -> None:
    entry = tmp_path / "entry"
    with whole_folder(entry, Path.is_dir) as folder:
        (folder / "file").write_text("second")
        entry.mkdir()
        (entry / "file").write_text("first")
    assert (entry / "file").read_text() == "first"
    assert list(tmp_path.iterdir()) == [entry]


def test_a_damaged_folder_is_replaced_and_is_an_error_where_it_cannot_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = tmp_path / "entry"

    def is_whole(folder: Path) -> bool:
        return (folder / "file").read_text() == "whole"

    for _ in range(2):
        entry.mkdir(exist_ok=True)
        (entry / "file").write_text("half")
        with whole_folder(entry, is_whole) as folder:
            (folder / "file").write_text("whole")
        assert is_whole(entry)
    (entry / "file").write_text("half")
    monkeypatch.setattr("gantune.io.files.shutil.rmtree", lambda path, **_: None)  # another user's
    with pytest.raises(OSError), whole_folder(entry, is_whole) as folder:
        (folder / "file").write_text("whole")


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError), whole_folder(tmp_path / "file" / "entry", Path.is_dir):
        raise AssertionError("the block must not begin")
    with (
        pytest.raises(OSError),
        whole_folder(tmp_path / "file", Path.is_dir),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("code", [errno.EACCES, errno.EROFS, errno.ENOTDIR, errno.ENAMETOOLONG])
@pytest.mark.parametrize("option", ["-o", "--plot"])
def test_a_file_that_cannot_be_written_is_told_with_the_option_for_another(
    code: int, option: str
) -> None:
    reason = os.strerror(code)
    message = f"runs/a/report.html: cannot be written ({reason}); name another file with {option}"
    with (
        pytest.raises(RunError, match=re.escape(message)),
        explain_write_errors(Path("runs/a/report.html"), option),
    ):
        raise OSError(code, reason)
