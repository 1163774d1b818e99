"""How many threads torch uses while something runs in a process that is not a worker's."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from gantune.errors import DeviceError


def all_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def threads(count: int) -> Iterator[None]:
    """Torch uses so many threads within it; the caller's own setting comes back after it."""
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
