"""Measures how fast 1, 2, 4, ... trainings at once are on one device, in processes like workers."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from gantune.config import DataConfig, TrialConfig
from gantune.errors import TrainingError
from gantune.io.processes import exit_words
from gantune.scores.evaluator import Protocols
from gantune.tuner.engines.process import Process, end_all

_PATIENCE = 300.0  # seconds without a word after which a training is given up


@dataclass(frozen=True)
class Probe:
    """What is trained where; the first message to each process."""

    config: TrialConfig
    """The first trial's, whose speed is measured."""
    largest: TrialConfig | None
    """The one that takes most memory, as far as that is cheaply known; trained for one step."""
    data: DataConfig
    device: str
    threads: int
    extractor: Path | None
    """Folder of the extractor, which takes memory as well; ``None``: nothing is scored."""
    protocols: Protocols | None
    seconds: float = 2.0
    """Of each measurement."""


@dataclass(frozen=True)
class Go:
    """To a process that has sent its ``Memory``: train for the probe's seconds."""


@dataclass(frozen=True)
class Speed:
    """From a process: how fast it has trained."""

    images_per_second: float


@dataclass(frozen=True)
class Failed:
    """From a process: why it cannot train."""

    reason: str


def measure(probe: Probe, most: int) -> tuple[list[Measured], Memory]:
    """Throughputs of 1, 2, 4, ... trainings at once, as long as more pay and fit, ``most`` of them.

    Raises ``TrainingError`` where not even one trains.
    """
    processes: list[Process] = []
    measured: list[Measured] = []
    memory: Memory | None = None
    try:
        while (count := next_count(measured, most)) is not None:
            new = [_begin(probe) for _ in range(count - len(processes))]
            processes += new
            found = [_heard(process, Memory) for process in new]
            memory = memory or found[0]
            for process in processes:
                process.send(Go())
            speeds = [_heard(process, Speed).images_per_second for process in processes]
            measured.append(Measured(count, sum(speeds)))
            most = min(most, memory.most)
    except TrainingError:
        if not measured:
            raise
    finally:
        end_all(processes)
    assert memory is not None
    return measured, memory


def _begin(probe: Probe) -> Process:
    nowhere = subprocess.DEVNULL
    process = Process("gantune.tuner.engines.probe_process", probe.threads, nowhere)
    process.send(probe)
    return process


def _heard(process: Process, kind: type[Any]) -> Any:
    """The next message of a kind; signs of life in between."""
    while wait([process.connection], timeout=_PATIENCE):
        try:
            message = process.connection.recv()
        except (EOFError, ConnectionResetError):
            raise TrainingError(f"it died with {exit_words(process.end())}") from None
        if isinstance(message, Failed):
            raise TrainingError(message.reason)
        if isinstance(message, kind):
            return message
    raise TrainingError(f"it said nothing for {_PATIENCE:g} s")


# How many workers a GPU is worth: a decision on plain numbers.


CONTEXT = 0.5
"""GiB that a process takes of a GPU before it holds a tensor: CUDA's context and its kernels."""


HEADROOM = 0.1
"""Share of a device's memory that the workers together leave free: other trials take other sizes,
allocators break it into pieces, and somebody may have a desktop on it."""


_ENOUGH = 0.95  # of the best throughput: more workers for the rest only make each trial slower


@dataclass(frozen=True)
class Measured:
    """So many trainings at once on one device."""

    workers: int
    images_per_second: float
    """Of all of them together."""


@dataclass(frozen=True)
class Memory:
    """Of one device, GiB."""

    total: float
    free: float
    """Before any worker is there."""
    one: float
    """What one worker takes at its peak, training the largest of the space and scoring."""

    @property
    def most(self) -> int:
        """How many workers fit; one is always tried."""
        return max(1, int((self.free - HEADROOM * self.total) / max(self.one, 1e-9)))


def next_count(measured: Sequence[Measured], most: int) -> int | None:
    """How many trainings to measure next: twice as many, no more than ``most``.

    ``None`` once that cannot pay: all fit already, or the last doubling brought nothing.
    """
    if not measured:
        return 1
    last = measured[-1]
    former = max((m.images_per_second for m in measured[:-1]), default=0.0)
    if last.workers >= most or last.images_per_second * _ENOUGH <= former:
        return None
    return min(2 * last.workers, most)


def best_count(measured: Sequence[Measured]) -> int:
    """The smallest number whose throughput is within 5% of the best."""
    best = max(m.images_per_second for m in measured)
    return min(m.workers for m in measured if m.images_per_second >= _ENOUGH * best)


def describe(measured: Sequence[Measured]) -> str:
    """``2 workers a GPU: 1 trains 9,000 images/s, 2 train 14,100, 4 train 14,300``."""
    count = best_count(measured)
    parts = [
        f"{m.workers} train{'s' * (m.workers == 1)} {m.images_per_second:,.0f}" for m in measured
    ]
    parts[0] += " images/s"
    return f"{count} worker{'s' * (count > 1)} a GPU: {', '.join(parts)}"
