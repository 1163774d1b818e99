"""A Ray worker's watchdog and its scratch folder, each in a process without Ray."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tuner.searches import is_alive, wait_for


@pytest.mark.integration
def test_the_watchdog_ends_a_silent_process_and_its_children(tmp_path: Path) -> None:
    script = """
import pathlib, subprocess, sys, time
from gantune.tuner.engines.ray.worker import Watchdog
home = pathlib.Path(sys.argv[1])
watchdog = Watchdog(0.5)
time.sleep(1.2)  # no trial is watched: this is no silence
def hung(limit):
    (home / "hung").write_text(f"{limit:g}")
with watchdog.watching(hung, at_least=4.0):
    time.sleep(1.2)  # during the warm-up the limit is longer
with watchdog.watching(hung):
    for _ in range(6):
        time.sleep(0.2)
        watchdog.heartbeat()
    with watchdog.paused():
        time.sleep(1.2)
    child = subprocess.Popen(["sleep", "600"])
    (home / "child").write_text(str(child.pid))
    time.sleep(600)
"""
    result = subprocess.run([sys.executable, "-c", script, str(tmp_path)], timeout=60)
    assert result.returncode == -signal.SIGKILL
    assert (tmp_path / "hung").read_text() == "0.5"
    child = int((tmp_path / "child").read_text())
    wait_for(lambda: not is_alive(child))


@pytest.mark.integration
def test_the_scratch_folder_of_a_killed_worker_is_removed_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    script = "import time, gantune.tuner.engines.ray.worker as worker\n"
    script += "print(worker.scratch_folder(), flush=True)\n"
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", f"{script}time.sleep(600)"], stdout=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    try:
        killed, alive = (Path((w.stdout or sys.stdin).readline().strip()) for w in workers)
        workers[0].kill()
        workers[0].wait()
        assert killed.exists() and alive.exists()
        subprocess.run([sys.executable, "-c", script], check=True)
        assert list(tmp_path.iterdir()) == [alive]  # the third has removed its own too
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()
