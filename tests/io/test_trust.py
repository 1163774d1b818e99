"""Which code and databases the user has agreed to use, in this process and before."""

import hashlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from gantune.errors import TrustError
from gantune.io import trust
from gantune.io.trust import (
    UserCode,
    adopt,
    allowances,
    check_code,
    is_trusted,
    remember,
    state_folder,
)


@pytest.fixture(autouse=True)
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty store, and a process that has agreed to nothing."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setattr(trust, "_allowed", set())
    return tmp_path / "state/gantune/trusted.txt"


@pytest.fixture
def code(tmp_path: Path) -> UserCode:
    folder = tmp_path / "mine"
    (folder / "package").mkdir(parents=True)
    (folder / "net.py").write_text("def make(): ...\n")
    (folder / "package/other.py").write_text("x = 1\n")
    return UserCode("net:make", folder, {"shape": [1, 32, 32]})


def forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trust, "_allowed", set())


def test_code_that_was_never_named_is_refused_with_what_would_run(code: UserCode) -> None:
    with pytest.raises(TrustError) as caught:
        check_code(code, "runs/x/extractor.json")
    text = str(caught.value)
    assert text.startswith("runs/x/extractor.json: would run code")
    assert f"net:make in {code.folder}" in text and "--trust" in text


def test_code_that_was_named_before_is_known_in_a_later_process(
    code: UserCode, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    remember(code)
    remember(code)
    check_code(code, "here")
    forget(monkeypatch)
    check_code(code, "here")
    assert len(store.read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("the file", " (since you used it, changed: net.py);"),
        ("a file below", " (since you used it, changed: package/other.py);"),
        ("a new file", " (since you used it, new: torch.py);"),
        ("a file less", " (since you used it, gone: package/other.py);"),
        ("two files", " (since you used it, new: torch.py; changed: net.py);"),
        ("arguments", ' (since you used it, other arguments: {"shape": [3, 32, 32]});'),
        ("name", "mine; look"),
    ],
)
def test_any_change_of_the_code_needs_a_new_agreement(
    code: UserCode, change: str, told: str
) -> None:
    remember(code)
    changed = code
    if change in ("the file", "two files"):
        (code.folder / "net.py").write_text("def make(): evil()\n")
    if change in ("a new file", "two files"):
        (code.folder / "torch.py").write_text("")
    if change == "a file below":
        (code.folder / "package/other.py").write_text("x = 2\n")
    if change == "a file less":
        (code.folder / "package/other.py").unlink()
    if change == "arguments":
        changed = UserCode(code.entry, code.folder, {"shape": [3, 32, 32]})
    if change == "name":
        changed = UserCode("net:other", code.folder, code.arguments)
    assert not is_trusted(changed)
    with pytest.raises(TrustError, match=re.escape(told)):
        check_code(changed, "best.yaml")


def test_a_copy_of_the_same_folder_is_the_same_code(code: UserCode, tmp_path: Path) -> None:
    remember(code)
    code.folder.rename(tmp_path / "moved")
    assert is_trusted(UserCode(code.entry, tmp_path / "moved", code.arguments))


def test_other_files_than_python_and_caches_do_not_count(code: UserCode) -> None:
    remember(code)
    (code.folder / "weights.pt").write_bytes(b"w")
    (code.folder / "__pycache__").mkdir()
    (code.folder / "__pycache__/net.py").write_text("")
    assert is_trusted(code)


def test_a_file_is_named_with_its_own_folder(tmp_path: Path) -> None:
    file = tmp_path / "train.py"
    file.write_text("def train(config, session): ...\n")
    code = UserCode(f"{file}:train", Path("/nowhere"))
    before = code.digest
    (tmp_path / "helper.py").write_text("")
    assert code.digest != before
    with pytest.raises(TrustError, match=f"{file}:train in {tmp_path}"):
        check_code(code, "best.yaml")


def test_of_an_installed_module_its_own_file_counts(tmp_path: Path) -> None:
    (tmp_path / "unrelated.py").write_text("")
    code = UserCode("json:loads", tmp_path)
    before = code.digest
    (tmp_path / "unrelated.py").write_text("x = 1")
    assert code.digest == before
    (tmp_path / "json.py").write_text("")  # which is found first from now on
    assert code.digest != before


def test_databases_are_remembered_by_their_address_which_is_not_written(store: Path) -> None:
    address = "postgresql://me@host/search"
    assert not is_trusted(address)
    remember(address)
    assert is_trusted(address) and not is_trusted("postgresql://me@other/search")
    assert "host" not in store.read_text()


def test_without_a_home_an_agreement_holds_for_the_process(
    code: UserCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setattr(Path, "home", no_home)
    assert state_folder() is None
    remember(code)
    assert is_trusted(code)
    forget(monkeypatch)
    assert not is_trusted(code)


def test_a_state_folder_that_cannot_be_written_is_no_error(code: UserCode, store: Path) -> None:
    store.parent.parent.write_text("a file")
    remember(code)
    assert is_trusted(code)


def test_a_worker_may_run_what_its_driver_has_checked(code: UserCode) -> None:
    trust.allow_everything()
    check_code(code, "here")
    assert is_trusted("sqlite:///any.db")


def test_a_child_may_run_what_its_parent_may(
    code: UserCode, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.parent.parent.write_text("a file")  # so that nothing is remembered
    remember(code)
    allowed = allowances()
    forget(monkeypatch)
    assert not is_trusted(code)
    adopt(allowed)
    assert is_trusted(code) and not is_trusted("sqlite:///any.db")


def test_compiled_modules_and_linked_folders_count(code: UserCode, tmp_path: Path) -> None:
    remember(code)
    (code.folder / "net.abi3.so").write_bytes(b"compiled")  # which an import takes first
    assert not is_trusted(code)
    (code.folder / "net.abi3.so").unlink()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/__init__.py").write_text("evil()")
    assert is_trusted(code)
    (code.folder / "requests").symlink_to(tmp_path / "elsewhere")
    assert not is_trusted(code)


def test_bytecode_beside_known_code_is_not_read(
    code: UserCode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "pycache_prefix", None)
    remember(code)
    check_code(code, "here")
    assert sys.pycache_prefix is not None


def test_links_that_lead_in_circles_end(code: UserCode) -> None:
    (code.folder / "again").symlink_to(code.folder)
    remember(code)
    assert is_trusted(code)


def test_a_command_reads_each_file_once(code: UserCode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Though it names a trainer and an extractor, and each is noted and then checked."""
    monkeypatch.setattr(trust, "_SETTLED", -(10**18))  # as for files of yesterday
    read, real = list[str](), hashlib.file_digest

    def counted(file: Any, name: str) -> Any:
        read.append(file.name)
        return real(file, name)

    monkeypatch.setattr(hashlib, "file_digest", counted)
    for one in (code, UserCode("net:other", code.folder)):
        remember(one)
        check_code(one, "here")
    assert sorted(read) == sorted(map(str, code.folder.rglob("*.py")))
    (code.folder / "net.py").write_text("def make(): something_else()\n")
    assert not is_trusted(code)


def test_a_change_that_no_time_shows_is_seen(code: UserCode) -> None:
    """Of the same length, at once, and with the old time of change."""
    file = code.folder / "net.py"
    for text in ("def make(): a()\n", "def make(): b()\n", "def make(): c()\n"):
        times = file.stat()
        file.write_text(text)
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert not is_trusted(code)
        remember(code)
