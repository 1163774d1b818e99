"""``dashboard`` and ``watch`` as commands."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.cli.conftest import Run
from tests.played import played_run

_ENVIRONMENT = {**os.environ, "PYTHONUNBUFFERED": "1"}


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "gantune", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=_ENVIRONMENT,
    )


def test_watch_ends_with_1_where_the_search_has_stopped(run: Run, tmp_path: Path) -> None:
    played_run(tmp_path, stop_after=2)
    code, text, error = run("watch", "run")
    assert (code, error) == (1, "") and "stopped; resume with: gantune search toy" in text
    played_run(tmp_path)
    code, text, _ = run("watch", "run")
    assert code == 0 and "Winner" in text
    assert run("watch", "nowhere")[0] == 2


def test_the_dashboard_refuses_before_it_begins(run: Run, tmp_path: Path) -> None:
    played_run(tmp_path)
    code, _, error = run("dashboard", "nowhere")
    assert code == 2 and "no such run" in error
    with socket.create_server(("127.0.0.1", 0)) as other:
        begun = set(threading.enumerate())
        code, _, error = run("dashboard", "run", "--port", str(other.getsockname()[1]))
        assert set(threading.enumerate()) <= begun  # no figure is drawn that nobody will see
    assert code == 2 and "taken by another program; take --port" in error


@pytest.mark.integration
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_ctrl_c_ends_the_dashboard_in_silence(tmp_path: Path, host: str) -> None:
    folder = played_run(tmp_path)
    process = started("dashboard", str(folder.path), "--port", "0", "--host", host)
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith(f"{folder.path}: http://{host}:") and "/dashboard/studies/0" in first
    if host == "0.0.0.0":
        assert "no password" in process.stdout.readline()
    assert "Ctrl-C" in process.stdout.readline()
    process.send_signal(signal.SIGINT)
    rest, error = process.communicate(timeout=60)
    assert (process.returncode, rest.strip(), error) == (0, "", "")


@pytest.mark.integration
def test_ctrl_c_ends_watching_and_not_the_search(tmp_path: Path) -> None:
    folder = played_run(tmp_path, stop_after=2)
    with folder.locked():
        process = started("watch", str(folder.path))
        assert process.stdout is not None and "trials" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        rest, error = process.communicate(timeout=60)
    assert process.returncode == 130 and error == ""
    assert "the search continues" in rest
