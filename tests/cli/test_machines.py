"""Odd machines and odd files: each is one message and exit code 2, never a traceback."""

from __future__ import annotations

import ctypes
import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gantune.errors import GantuneError, RunError
from gantune.report.run import load_run
from tests.canned import run_info
from tests.cli.conftest import Run
from tests.data.making import write_pictures
from tests.forked import run_forked
from tests.played import played_run
from tests.tuner.searches import SPACE, wait_for

LONG = "a" * 300
DEEP = "abcdefghi/" * 600
NOBODY = 54_321
"""A user id that no user has."""
SHORT = ("--kimg=0.1", "--set=finalists.top=0", "--set=objective.extractor=random")


@pytest.mark.parametrize(
    "content",
    ["{}", "[]", "", json.dumps(run_info(devices=3)), json.dumps(run_info(begun="soon"))],
)
def test_every_command_on_a_damaged_run_is_one_message(
    run: Run, tmp_path: Path, content: str
) -> None:
    folder = played_run(tmp_path)
    folder.info.write_text(content)
    for command in ("status", "watch", "report", "best", "sample", "dashboard"):
        code, out, error = run(command, str(folder.path))
        assert (code, out) == (2, ""), command
        assert f"{folder.info}: damaged: " in error and error.count("\n") == 1, command
    with pytest.raises(GantuneError, match="damaged"):
        load_run(folder.path)


@pytest.mark.parametrize(
    "arguments",
    [
        *([command, name] for command in ("search", "status", "watch") for name in (LONG, DEEP)),
        *([command, name] for command in ("report", "sample", "train") for name in (LONG, DEEP)),
        *([command, name] for command in ("diagnose", "best") for name in (LONG, DEEP)),
        *(["search", "wgan", "--out", name, "--dry-run"] for name in (LONG, DEEP)),
        *(["search", "wgan", "--data", name, "--dry-run"] for name in (LONG, DEEP)),
        *(["evaluate", name, "--data", "digits"] for name in (LONG, DEEP, f"{DEEP}.pt")),
        *(["train", "--from", name] for name in (LONG, DEEP, f"{LONG}#1")),
        *(["init", "-o", name] for name in (LONG, DEEP)),
        ["best", f"{LONG}#1"],
        ["search", "wgan", "--set", f"study={LONG}", "--dry-run"],
        ["search", "wgan", "--set", f"loss={'x' * 100_000}"],
        ["search", "wgan", "--set", "a." * 1000 + "b=1"],
        ["search", "wgan", "--set", "trial." * 1000 + "b=1"],
        ["search", "wgan", "--set", "generator.lr." * 500 + "b=1"],
        ["search", "wgan", "--set", "lr=" + "[" * 1000],
        ["search", "wgan", "--set", "lr=" + "{a: " * 400 + "1" + "}" * 400],
        ["search", "wgan", "--trials", "9" * 100_000],
        ["search", "wgan", "--time", "9" * 100_000],
        ["search", "wgan", "--workers", "9" * 100_000],
        ["search", "wgan", "--storage", "sqlite:///" + "a" * 10_000],
        ["search", "wgan", "--engine", "ray", "--resources", "a" * 100_000],
        ["search", "wgan", "--device", "a" * 100_000],
        ["evaluate", "digits", "--held-out", "a" * 100_000],
        ["diagnose", "log.csv", "--columns", "a" * 100_000],
        ["x" * 100_000],
    ],
    ids=lambda arguments: " ".join(text[:20] for text in arguments),
)
def test_what_is_too_long_or_too_deep_is_one_short_message(run: Run, arguments: list[str]) -> None:
    code, _, error = run(*arguments)
    assert code == 2 and 0 < len(error) < 4_000
    assert "Traceback" not in error and "recursion" not in error


# ---- Homes ---------------------------------------------------------------------------------------


@pytest.fixture
def of_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's home."""
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


@pytest.mark.integration
def test_a_tilde_is_the_home_in_every_path_of_the_command_line(run: Run, of_home: Path) -> None:
    assert run("init", "mixture2d", "--out=~/made/toy.yaml")[0] == 0
    assert (of_home / "made/toy.yaml").exists()
    code, _, error = run("search", "~/made/toy.yaml", "--out=~/made", "--set", "loss=hing")
    assert code == 2 and "did you mean 'hinge'" in error
    folder = played_run(of_home)
    assert run("status", "~/run")[0] == 0
    assert run("report", "~/run", "-o", "~/page.html")[0] == 0
    assert (of_home / "page.html").exists()
    assert run("best", "~/run#1", "-o", "~/best.yaml")[0] == 0
    code, _, error = run("train", "~/best.yaml", "--data=~/nowhere", "--out=~/t")
    assert code == 2 and f"{of_home}/nowhere: no such file" in error
    code, _, error = run("evaluate", "~/a.npz", "--data", "digits")
    assert code == 2 and f"{of_home}/a.npz: no such file" in error
    (of_home / "log.csv").write_text("step,d_loss,g_loss\n1,1.0,1.0\n2,1.0,1.0\n")
    assert run("diagnose", "~/log.csv", "--plot=~/log.html")[0] == 0
    assert (of_home / "log.html").exists()
    assert not Path("~").exists() and folder.path == of_home / "run"


def test_a_tilde_is_the_home_in_a_databases_address_and_in_the_cache(
    run: Run, of_home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gantune.data import cache_folder
    from gantune.tuner.storage.url import parse_url

    assert parse_url("sqlite:///~/a.db").url.database == f"{of_home}/a.db"
    monkeypatch.setenv("GANTUNE_CACHE", "~/cache")
    assert cache_folder() == of_home / "cache"


def test_an_unknown_home_is_told(run: Run) -> None:
    code, _, error = run("search", "~nobody-here/a.yaml")
    assert code == 2
    assert error == (
        "~nobody-here/a.yaml: there is no user 'nobody-here'; a file of this name is "
        "./~nobody-here/a.yaml\n"
    )
    Path("~odd").mkdir()
    Path("~odd/a.yaml").write_text("trial: 3")
    assert "~odd/a.yaml:1:1" in run("search", "~odd/a.yaml")[2]


@pytest.fixture
def homeless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A user id without a name and a home; the folder of temporary files."""
    (tmp_path / "temporary").mkdir()
    for name in ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "XDG_STATE_HOME"):
        monkeypatch.setenv(name, "")  # so that it comes back
        monkeypatch.delenv(name)
    for name in ("GANTUNE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))

    def unknown(user: object) -> pwd.struct_passwd:
        raise KeyError(f"getpwuid(): uid not found: {user}")

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    return tmp_path / "temporary"


@pytest.mark.integration
def test_without_a_home_commands_run(run: Run, homeless: Path) -> None:
    from gantune.data import cache_folder
    from gantune.io.trust import state_folder

    assert state_folder() is None
    assert run("search", "wgan", "--dry-run", "--device", "cpu")[0] == 0
    own = homeless / f"gantune-{os.getuid()}"
    assert cache_folder() == own / ".cache/gantune" and own.stat().st_mode & 0o777 == 0o700
    assert state_folder() is None and not Path("~").exists()
    assert run("status", "~/run")[0] == 2


def test_a_home_of_somebody_else_takes_no_ones_place(run: Run, homeless: Path) -> None:
    (homeless / f"gantune-{os.getuid()}").mkdir(mode=0o777)
    (homeless / f"gantune-{os.getuid()}").chmod(0o777)
    code, _, error = run("search", "wgan", "--dry-run")
    assert code == 2 and "open to other users; set HOME to a folder of your own" in error


# ---- Other users ---------------------------------------------------------------------------------


NAMELESS = (
    f"setpriv --reuid={NOBODY} --regid={NOBODY} --clear-groups "
    "--inh-caps=+dac_read_search --ambient-caps=+dac_read_search"  # to read this Python
)
needs_root = pytest.mark.skipif(
    os.getuid() != 0 or shutil.which("setpriv") is None, reason="needs root and setpriv"
)


def as_nameless(folder: Path, *arguments: str) -> tuple[int, str]:
    """Runs a command as a user id without a name and a home."""
    command = [*NAMELESS.split(), sys.executable, "-m", "gantune", *arguments]
    return told(subprocess.run(command, capture_output=True, text=True, **of_stranger(folder)))


def without_rights(folder: Path, *arguments: str) -> tuple[int, str]:
    """Runs a command for which permissions count, even where the tests run as root."""
    return told(run_forked([*arguments], preexec_fn=drop_rights, **of_stranger(folder)))


def of_stranger(folder: Path) -> dict[str, Any]:
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[2]),
        "TMPDIR": str(folder),
        "OMP_NUM_THREADS": "1",
    }
    return {"cwd": folder, "env": environment}


def told(done: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """The code and what was printed."""
    text = done.stdout + done.stderr
    assert "Traceback" not in text, text
    return done.returncode, text


def drop_rights() -> None:
    """Root's rights to read and write whatever the permissions say, also of later processes."""
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this process
    rights = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice 32 bits
    failed = libc.capget(header, rights)
    for right in (1, 2):  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
        failed |= libc.prctl(24, right, 0, 0, 0)  # PR_CAPBSET_DROP
        for place in range(3):
            rights[place] &= ~(1 << right)
    failed |= libc.capset(header, rights)
    if failed:
        raise OSError(ctypes.get_errno(), "the rights stay")


@pytest.mark.integration
@needs_root
def test_what_may_not_be_read_is_told_as_such(tmp_path: Path) -> None:
    played_run(tmp_path)
    for name in ("closed", "unread", "journal"):
        shutil.copytree(tmp_path / "run", tmp_path / name)
    write_pictures(tmp_path / "images", "a.png", "b.png")
    for name in ("a.yaml", "a.npy", "a.npz", "a.zip", "a.csv", "a.pt"):
        (tmp_path / name).write_bytes(b"x")
    paths = [*tmp_path.glob("a.*"), *(tmp_path / "images").iterdir(), tmp_path / "closed"]
    for path in [*paths, tmp_path / "unread/run.json", tmp_path / "journal/study.journal"]:
        path.chmod(0)
    for arguments in (
        "search a.yaml",
        "train a.yaml",
        "status closed",
        "watch closed",
        "report unread",
        "best unread",
        "status journal",
        "sample a.pt",
        "diagnose a.csv",
        "evaluate a.zip --data digits",
        *(f"search dcgan --dry-run --data {name}" for name in ("a.npy", "a.npz", "a.zip")),
        "search dcgan --dry-run --data images",
    ):
        code, text = without_rights(tmp_path, *arguments.split())
        assert code == 2 and "Permission denied" in text, (arguments, text)


@pytest.mark.integration
@needs_root
@pytest.mark.usefixtures("forked_workers")
def test_a_database_that_may_not_be_written_is_told_as_such(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPACE)
    search = ["search", "tiny.yaml", "--device=cpu", "--workers=1", "--out=run", *SHORT]
    folder = tmp_path / "db"
    folder.mkdir()
    folder.chmod(0o555)
    begin = [*search, "--storage=sqlite:///db/a.db", "--trials=1"]
    code, text = without_rights(tmp_path, *begin)
    assert code == 2 and f"{folder}/a.db cannot be used: unable to open database file" in text
    folder.chmod(0o755)
    assert without_rights(tmp_path, *begin)[0] == 0
    more = [*search, "--storage=sqlite:///db/a.db", "--trials=2"]
    for closed, mode, way in (
        (folder / "a.db", 0o444, "attempt to write a readonly database"),
        (folder, 0o555, "attempt to write a readonly database"),
        (folder / "a.db", 0, "unable to open database file"),
    ):
        before = closed.stat().st_mode
        closed.chmod(mode)
        code, text = without_rights(tmp_path, *more)
        assert code == 2 and f"{folder}/a.db cannot be used: {way}" in text, text
        assert "check the path, and who may read and write there" in text
        code, text = without_rights(tmp_path, "status", "run")
        assert code == (2 if mode == 0 else 0), text
        closed.chmod(before)
    assert without_rights(tmp_path, *more)[0] == 0


@pytest.mark.integration
@needs_root
def test_a_user_id_without_a_name_and_a_home(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    code, text = as_nameless(tmp_path, "doctor")
    assert code == 0 and f"gantune-{NOBODY}/.cache/gantune:" in "".join(text.split())
    (tmp_path / "tiny.yaml").write_text(SPACE)
    arguments = ["--trials=1", "--device=cpu", "--workers=1", "--out=run", *SHORT]
    assert as_nameless(tmp_path, "search", "tiny.yaml", *arguments)[0] == 0
    assert as_nameless(tmp_path, "status", "run")[0] == 0
    assert not (tmp_path / "~").exists()


# ---- Run folders ---------------------------------------------------------------------------------


def test_a_lock_that_is_a_folder_is_told(run: Run, tmp_path: Path) -> None:
    folder = played_run(tmp_path)
    (folder.path / ".lock").mkdir()
    for command in (["status"], ["watch"]):
        code, _, error = run(*command, str(folder.path))
        assert code == 2 and f"{folder.path}/.lock: cannot be read (Is a directory)" in error
    with pytest.raises(RunError, match=r"\.lock: is a folder; remove it"), folder.locked():
        pass


@pytest.mark.integration
def test_a_run_folder_that_is_deleted_ends_its_search_with_one_message(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPACE)
    arguments = ["search", "tiny.yaml", "--device=cpu", "--workers=1", "--kimg=5", "--out=run"]
    search = subprocess.Popen(
        [sys.executable, "-m", "gantune", *arguments],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for((tmp_path / "run/trials/0000/ticks.jsonl").exists)
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    text, _ = search.communicate(timeout=60)
    assert search.returncode == 2 and "Traceback" not in text
    assert "run: was deleted or moved while the search ran" in text
