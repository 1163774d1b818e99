"""A Ray of a search is for its owner alone: its token, its addresses and its folder."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterable
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
import ray
from ray._private import worker
from ray._private.authentication.authentication_utils import is_token_auth_enabled

from gantune.errors import RunError
from gantune.events import Observer
from gantune.io.processes import descendants
from gantune.run_folder.run import RunFolder
from gantune.tuner.engines.ray.connection import connection, isolated
from gantune.tuner.engines.ray.private_ray import private_ray
from tests.tuner.searches import Listener

AUTH = ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH")


@pytest.fixture(autouse=True)
def no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in AUTH:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What a Ray would have been started with; none is."""
    calls: list[dict[str, Any]] = []

    def init(*_: Any, **settings: Any) -> None:
        home = Path(settings["_temp_dir"]).parent
        calls.append(settings | {name: os.environ.get(name) for name in AUTH})
        calls[-1] |= {"home": home, "mode": stat.S_IMODE(home.stat().st_mode)}

    monkeypatch.setattr(ray, "init", init)
    return calls


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"RAY_AUTH_MODE": "disabled"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "mine"},
        {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": "/mine"},
    ],
)
def test_each_ray_has_a_token_of_its_own_and_the_users_settings_hold_after_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    started: list[dict[str, Any]],
    settings: dict[str, str],
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    for _ in range(2):
        with private_ray(RunFolder(tmp_path), {}, Observer()):
            pass
    tokens = {call["RAY_AUTH_TOKEN"] for call in started}
    assert len(tokens) == 2 and all(len(token) == 64 for token in tokens)
    assert {call["RAY_AUTH_MODE"] for call in started} == {"token"}
    assert dict(os.environ) == before


def test_its_folder_is_closed_to_others_and_removed(
    tmp_path: Path, started: list[dict[str, Any]]
) -> None:
    with private_ray(RunFolder(tmp_path), {}, Observer()):
        assert started[0]["home"].exists() and started[0]["mode"] == 0o700
    assert not started[0]["home"].exists()


def test_a_folder_that_somebody_else_has_made_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    with private_ray(RunFolder(tmp_path), {}, Observer()):
        theirs = started[0]["home"]
    (tmp_path / "trap").mkdir()
    theirs.symlink_to(tmp_path / "trap")
    try:
        with private_ray(RunFolder(tmp_path), {}, Observer()):
            assert started[1]["home"] != theirs and started[1]["mode"] == 0o700
    finally:
        theirs.unlink()


def test_sockets_have_room_in_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    """Linux takes paths of 107 bytes."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / ("x" * 40)))
    with private_ray(RunFolder(tmp_path), {}, Observer()):
        session = "session_2026-11-28_18-26-53_818827_4194304"
        assert len(f"{started[0]['_temp_dir']}/{session}/sockets/plasma_store") <= 107


def test_a_ray_without_tokens_is_started_and_said_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[dict[str, Any]]
) -> None:
    monkeypatch.delattr("ray._raylet.AuthenticationTokenLoader")
    observer = Listener()
    with private_ray(RunFolder(tmp_path), {}, observer):
        pass
    assert len(started) == 1
    assert len(observer.lines) == 1 and "install Ray 2.52 or newer" in observer.lines[0]


def test_why_ray_does_not_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise Exception("The current node timed out during startup.")

    monkeypatch.setattr(ray, "init", refuse)
    before = dict(os.environ)
    with (
        pytest.raises(RunError, match=r"timed out.*less busy"),
        private_ray(RunFolder(tmp_path), {}, Observer()),
    ):
        pass
    assert dict(os.environ) == before


# ---- A real one ---------------------------------------------------------------------------------

JOIN = """
import sys, ray
ray.init(sys.argv[1], log_to_driver=False)
print(ray.get(ray.remote(lambda: 6 * 7).remote()))
"""

# Who knows the address in this form, and does not wait long for an answer.
NEIGHBOUR = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": "5",
}

STRANGERS: dict[str, dict[str, str]] = {
    "without a token": {},
    "with another token": {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "0" * 64},
    "with tokens turned off": {"RAY_AUTH_MODE": "disabled"},
}


def listening(processes: Iterable[int]) -> dict[int, str]:
    """The ports on which processes listen, with the addresses as Linux writes them."""
    sockets = set()
    for process in processes:
        with suppress(OSError):
            for file in Path(f"/proc/{process}/fd").iterdir():
                with suppress(OSError):
                    sockets.add(str(file.readlink()))
    lines = [
        line.split()
        for name in ("tcp", "tcp6")
        for line in Path("/proc/net", name).read_text().splitlines()[1:]
    ]
    places = [line[1].split(":") for line in lines if line[3] == "0A" and socket(line) in sockets]
    return {int(port, 16): address for address, port in places}


def socket(line: list[str]) -> str:
    return f"socket:[{line[9]}]"


def join(address: str, *become: str, **settings: str) -> subprocess.Popen[str]:
    """A process with another home that joins a Ray and lets it run a function."""
    return subprocess.Popen(
        [*become, sys.executable, "-c", JOIN, address],
        env={"PATH": os.environ["PATH"], "HOME": "/nowhere", **NEIGHBOUR, **settings},
        cwd="/",
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def another_user() -> tuple[str, ...]:
    """What makes a command another user's; empty where this user may not, or that one has no
    Ray."""
    become = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    try:
        command = [*become, sys.executable, "-c", "import ray"]
        return become if subprocess.run(command, capture_output=True).returncode == 0 else ()
    except OSError:
        return ()


@pytest.mark.integration
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("ray")
@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux")
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
@pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning")
def test_nobody_else_reaches_the_ray_of_a_search(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It asks for its token although the user has turned tokens off."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    before, others = dict(os.environ), set(descendants(os.getpid()))
    with isolated(), connection(None, 1, RunFolder(tmp_path), Observer()):
        token, address = os.environ["RAY_AUTH_TOKEN"], ray.get_runtime_context().gcs_address
        workers: Any = ray.remote(lambda: os.environ["RAY_AUTH_TOKEN"])
        assert ray.get(workers.remote()) == token
        processes = {os.getpid(), *descendants(os.getpid())} - others

        ports = listening(processes)
        assert len(ports) >= 4 and int(address.rpartition(":")[2]) in ports
        assert set(ports.values()) <= {"0100007F", "0000000000000000FFFF00000100007F"}

        become = another_user()
        tried = {who: join(address, *become, **has) for who, has in STRANGERS.items()}
        tried["as its owner"] = join(address, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN=token)
        ends = {who: process.communicate(timeout=120) for who, process in tried.items()}
        said = {who: output.strip() for who, (output, _) in ends.items()}
        assert said == {**dict.fromkeys(STRANGERS, ""), "as its owner": "42"}, ends
        assert all("token" in ends[who][1] for who in STRANGERS)

        assert not {port for port in ports if answers_to_strangers(port)}
        for process in processes:
            with suppress(FileNotFoundError):  # an idle worker that has ended
                assert token.encode() not in Path(f"/proc/{process}/cmdline").read_bytes()
        home = Path(worker.global_worker.node.get_session_dir_path()).parent.parent
        assert stat.S_IMODE(home.stat().st_mode) == 0o700
        written = [file for file in home.rglob("*") if file.is_file()]
        assert written and not [file for file in written if token.encode() in file.read_bytes()]
    assert dict(os.environ) == before
    assert not is_token_auth_enabled()


def answers_to_strangers(port: int) -> bool:
    """Whether one of Ray's HTTP interfaces (jobs, nodes, environments of workers) does anything."""
    for path in ("/api/version", "/api/jobs/", "/nodes?view=summary", "/get_or_create_runtime_env"):
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}{path}", data=b"{}" if "runtime" in path else None
        )
        try:
            with urllib.request.urlopen(request, timeout=5):
                return True
        except urllib.error.HTTPError as error:
            if error.code not in (401, 403):
                return True
        except (OSError, HTTPException):  # no HTTP
            pass
    return False
