"""The surroundings of a child: its environment, and its memory."""

from __future__ import annotations

import os
import subprocess
from collections import Counter
from multiprocessing import Pipe
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest

from gantune.trial import process
from gantune.trial.process import Process, WorkerConnection
from gantune.tuner.options import parse_resources
from tests.io.test_allocator import faults


def environment_of(monkeypatch: pytest.MonkeyPatch, **settings: Any) -> dict[str, str]:
    """What a child would get."""
    given: dict[str, str] = {}

    def start(command: list[str], *, env: dict[str, str], **others: Any) -> SimpleNamespace:
        given.update(env)
        return SimpleNamespace(pid=os.getpid())

    monkeypatch.setattr(process, "subprocess", SimpleNamespace(Popen=start, DEVNULL=-3))
    monkeypatch.setattr(process, "Reaper", lambda *arguments: None)
    Process("gantune.nothing", 3, subprocess.DEVNULL, **settings).connection.close()
    return given


def test_a_child_gets_its_threads_and_no_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "secret")
    monkeypatch.delenv("PYTORCH_ALLOC_CONF", raising=False)
    given = environment_of(monkeypatch, withheld=["PGPASSWORD"])
    assert given["OMP_NUM_THREADS"] == "3"
    assert not {"PGPASSWORD", "PYTORCH_ALLOC_CONF"} & given.keys()


_NAMES = ("PYTORCH_ALLOC_CONF", "PYTORCH_CUDA_ALLOC_CONF", "PYTORCH_HIP_ALLOC_CONF")


@pytest.mark.parametrize("own", [None, *_NAMES])
def test_segments_expand_where_a_gpu_is_shared_unless_the_user_has_set_them(
    own: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in _NAMES:
        monkeypatch.delenv(name, raising=False)
    expected = {"PYTORCH_ALLOC_CONF": "expandable_segments:True"}
    if own is not None:
        expected = {own: "max_split_size_mb:64"}
        monkeypatch.setenv(own, "max_split_size_mb:64")
    given = environment_of(monkeypatch, shares_gpu=True)
    assert {name: given[name] for name in _NAMES if name in given} == expected


@pytest.mark.parametrize(
    ("text", "is_shared"), [("gpu=0.25", True), ("gpu=1", False), ("cpu=2", False)]
)
def test_a_trial_on_ray_shares_a_gpu_of_which_it_takes_a_part(text: str, is_shared: bool) -> None:
    assert parse_resources(text).shares_gpu == is_shared


def test_a_child_keeps_the_memory_that_it_frees(tmp_path: Path) -> None:
    if "CS_GNU_LIBC_VERSION" not in os.confstr_names:
        pytest.skip("needs glibc")
    connected = (
        "import socket, sys; from gantune.trial.process import connect\n"
        "pair = socket.socketpair(); sys.argv[1:] = [str(pair[0].detach())]; connect()"
    )
    assert 10 * faults(connected) < faults()


def test_messages_of_several_threads_stay_whole() -> None:
    """A heartbeat may come from the thread that scores."""
    ours, theirs = Pipe()
    child, texts = WorkerConnection(theirs), [letter * 200_000 for letter in "ab"]

    def send(text: str) -> None:
        for _ in range(50):
            child.message(text)

    threads = [Thread(target=send, args=[text]) for text in texts]
    for thread in threads:
        thread.start()
    found = Counter(ours.recv().text for _ in range(100))
    for thread in threads:
        thread.join()
    assert found == dict.fromkeys(texts, 50)
