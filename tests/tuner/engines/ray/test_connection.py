"""Connections to Ray with a canned ``ray.init``: errors, and SIGTERM's handler."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import ray

from gantune.errors import RunError
from gantune.events import Observer
from gantune.run_folder.run import RunFolder
from gantune.tuner.engines.ray.connection import connection
from tests.tuner.searches import run

MISMATCH = """Version mismatch: The cluster was started with:
    Ray: 2.9.0
    Python: 3.11.7
This process on 127.0.0.1:6379 was started with:
    Ray: 2.60.0
    Python: 3.11.7
"""


@pytest.mark.parametrize(
    ("error", "cause", "reason"),
    [
        (RuntimeError(MISMATCH), None, "Ray: 2.9.0; Python: 3.11.7; This process on"),
        (RuntimeError(MISMATCH), None, "install the same Ray and Python on both sides"),
        (ConnectionError("Failed"), RuntimeError("Unauthenticated: RPC"), "asks for its token"),
        (ConnectionError("Failed"), RuntimeError("Unauthenticated: RPC"), "RAY_AUTH_TOKEN_PATH"),
        (ConnectionError("Failed"), RuntimeError("no node"), "ray start --address=127.0.0.1:"),
    ],
)
def test_why_a_cluster_cannot_be_joined(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception, cause: Any, reason: str
) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise error from cause

    monkeypatch.setattr(ray, "init", refuse)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        with (
            pytest.raises(RunError) as caught,
            connection(address, 1, RunFolder(tmp_path), Observer()),
        ):
            pass
    assert reason in str(caught.value) and f"--address {address}: " in str(caught.value)


@pytest.mark.parametrize("is_joined", [False, True])
def test_the_handler_of_sigterm_is_restored_after_ray_has_set_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_joined: bool
) -> None:
    def init(*_: Any, **__: Any) -> None:
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # as Ray does

    monkeypatch.setattr(ray, "init", init)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}" if is_joined else None
        former = signal.getsignal(signal.SIGTERM)
        with connection(address, 1, RunFolder(tmp_path), Observer()):
            assert signal.getsignal(signal.SIGTERM) == former


@pytest.mark.integration
def test_an_address_that_does_not_answer_leaves_no_run_folder(
    tiny_space: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gantune.tuner.engines.ray.connection._CONNECT_TIMEOUT", 1.0)
    with pytest.raises(RunError, match=r"no answer from 127\.0\.0\.1:9 within 1 s.*ray status"):
        run(tiny_space, engine="ray", address="127.0.0.1:9")

    def none(_: str) -> str:  # whatever else runs on this machine
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr("ray._private.services.canonicalize_bootstrap_address", none)
    with pytest.raises(RunError, match=r"--address auto: .*ray start --head"):
        run(tiny_space, engine="ray", address="auto")
    assert not (tiny_space.parent / "run").exists()
