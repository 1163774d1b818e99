"""How many threads torch uses while something runs in a process that is not a worker's."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gantune.errors import DeviceError


def all_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch uses so many threads within it; the caller's own setting comes back after it."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_devices(name: str) -> list[str]:
    """``auto`` (all GPUs, else the CPU), ``cpu``, ``cuda`` or ``cuda:0,1`` as torch devices.

    Raises ``DeviceError`` for one that is not there, naming those that are.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    there = [f"cuda:{index}" for index in range(count)]
    kind, _, indices = name.partition(":")
    if name == "cpu":
        return ["cpu"]
    if name == "auto":
        return there or ["cpu"]
    if kind != "cuda":
        raise DeviceError(f"--device {name}: unknown; give auto, cpu, cuda, or cuda:0,1")
    wanted = [f"cuda:{index.strip()}" for index in indices.split(",")] if indices else there
    missing = [device for device in wanted if device not in there]
    if missing or not wanted:
        found = f"there are: cpu, {', '.join(there)}" if there else "this machine has only the CPU"
        raise DeviceError(f"--device {name}: {', '.join(missing) or 'a GPU'} not found; {found}")
    return list(dict.fromkeys(wanted))


# Devices by name, and how many workers and threads they carry.


@dataclass(frozen=True)
class Placement:
    """Where the workers run: one device each, all with the same number of threads."""

    devices: tuple[str, ...]
    threads: int
    open_to: int = 0
    """More workers on these GPUs may pay, up to so many in all, which only a measurement tells."""
    measured: tuple[str, ...] = ()
    """How it came to their number, in words."""
    images_per_second: float | None = None
    """Of all of them together, where that was measured."""


def assign_workers(devices: list[str], workers: int | Literal["auto"], most: int) -> Placement:
    """Spreads workers over devices and CPU threads over workers.

    ``auto``: one worker a GPU, with more of them left open, or on the CPU one for each core, as one
    thread a worker trains most images a second there; never more than ``most``, the runs that there
    are.
    """
    cores = len(os.sched_getaffinity(0))
    is_cpu = devices == ["cpu"]
    count = max(1, min(cores if is_cpu else len(devices), most)) if workers == "auto" else workers
    if count < 1:
        raise DeviceError(f"--workers {count}: at least one is needed")
    spread = tuple(devices[index % len(devices)] for index in range(count))
    open_to = min(cores, most) if workers == "auto" and not is_cpu else 0
    return Placement(spread, max(1, cores // count), open_to)


def distribute(counts: Mapping[str, int]) -> Placement:
    """So many workers on each device, in turn, so that the first trials are spread over all."""
    rounds = range(max(counts.values()))
    spread = tuple(device for turn in rounds for device, n in counts.items() if turn < n)
    return Placement(spread, max(1, len(os.sched_getaffinity(0)) // len(spread)))
