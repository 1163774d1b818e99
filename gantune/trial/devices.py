"""Devices by name, CPU threads, and how workers are spread over them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gantune.errors import DeviceError


def all_cores() -> int:
    """The number of CPU cores that this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Sets the number of torch's CPU threads within it, and restores it at the end."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_devices(name: str) -> list[str]:
    """Torch's names of ``auto`` (all GPUs, else the CPU), ``cpu``, ``cuda`` or ``cuda:0,1``.

    Raises ``DeviceError`` for a device that does not exist; it lists those that do.
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


@dataclass(frozen=True)
class Placement:
    """Where the workers run: one device each, all with the same number of threads."""

    devices: tuple[str, ...]
    threads: int
    open_to: int = 0
    """Up to how many workers may pay on these GPUs, which only a measurement tells."""
    measured: tuple[str, ...] = ()
    """How the number of workers was found, in sentences."""
    images_per_second: float | None = None
    """Of all workers together, where that was measured."""


def assign_workers(devices: list[str], workers: int | Literal["auto"], most: int) -> Placement:
    """Spreads workers over devices and CPU threads over workers.

    ``auto``: one worker per GPU, and ``open_to`` for a measurement of more; on the CPU one per
    core, as one thread per worker trains most images per second there. Never more than ``most``,
    the number of runs.
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
    """Places ``counts`` workers, device after device, so that the first trials use all devices."""
    rounds = range(max(counts.values()))
    spread = tuple(device for turn in rounds for device, n in counts.items() if turn < n)
    return Placement(spread, max(1, len(os.sched_getaffinity(0)) // len(spread)))
