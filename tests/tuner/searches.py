"""A tiny search for tests with real processes, and helpers for such tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gantune
from gantune.tuner.options import Options
from gantune.tuner.state import RunState, SearchObserver
from tests.forked import WORKER

SPACE = """
study: tiny
budget: {trials: 3}
objective: {samples: 64, rung_samples: 32}
trial:
  data: {source: digits, resolution: 16}
  network: {name: dcgan, width: 4, latent: 8}
  kimg: 0.3
  tick_kimg: 0.05
  batch_size: {choices: [8, 16]}
  precision: fp32
  generator: {lr: {low: 1e-4, high: 1e-3, log: true}}
start: [{batch_size: 16, generator.lr: 2e-4}]
stability: off
pruning: {rule: none, rungs: [50%]}
finalists: {top: 1, seeds: 1}
"""

ONE_TRIAL = ("budget.trials=1", "finalists.top=0")
"""Overrides for the shortest search."""


class Listener(SearchObserver):
    """Keeps all messages, and calls ``once`` the first time that a trial has trained a tick."""

    def __init__(self, once: Callable[[RunState], None] | None = None) -> None:
        self.lines: list[str] = []
        self.once = once

    def message(self, text: str) -> None:
        self.lines.append(text)

    def refresh(self, state: RunState) -> None:
        if self.once is not None and any(state.folder.trial(r.name).ticks() for r in state.running):
            once, self.once = self.once, None
            once(state)


def run(space: Path, observer: SearchObserver | None = None, **options: Any) -> RunState:
    """Searches with one worker in the folder ``run`` beside the space, unless told otherwise."""
    given: dict[str, Any] = {"workers": 1, "out": space.parent / "run", **options}
    return gantune.search(space, Options(**given), observer)


def worker_processes(parent: int) -> list[int]:
    """Ids of the live workers among a process's children."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
            command = path.with_name("cmdline").read_text()
            is_worker = (
                "engines.worker" in command or path.with_name("comm").read_text() == f"{WORKER}\n"
            )
        except OSError:
            continue
        if int(fields[1]) == parent and fields[0] != "Z" and is_worker:
            found.append(int(path.parent.name))
    return found


def is_alive(process: int) -> bool:
    """Whether a process exists and is no zombie."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Waits until the condition is true, and fails after a number of seconds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "nothing happened in time"
        time.sleep(0.05)
