"""Measures how fast 1, 2, 4, ... trainings at once are on one device, in processes like workers."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

from gantune.config import DataConfig, TrialConfig
from gantune.errors import TrainingError
from gantune.io.processes import exit_words
from gantune.scores.protocol import Protocols
from gantune.search.engines.process import Process, end_all
from gantune.search.engines.throughput import Measured, Memory, next_count

__all__ = ["Failed", "Go", "Probe", "Speed", "measure"]

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
    process = Process("gantune.search.engines.probing", probe.threads, nowhere)
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
