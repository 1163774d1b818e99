"""Devices by name, and how many workers and threads they carry."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Literal

from gantune.errors import DeviceError

__all__ = ["Placement", "find_devices", "place_workers"]


@dataclass(frozen=True)
class Placement:
    """Where the workers run: one device each, all with the same number of threads."""

    devices: tuple[str, ...]
    threads: int


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


def place_workers(devices: list[str], workers: int | Literal["auto"], most: int) -> Placement:
    """Spreads workers over devices and CPU threads over workers.

    ``auto``: one worker a GPU, or on the CPU one for each core, as one thread a worker trains
    most images a second there; never more than ``most``, the runs that there are.
    """
    cores = len(os.sched_getaffinity(0))
    auto = cores if devices == ["cpu"] else len(devices)
    count = max(1, min(auto, most)) if workers == "auto" else workers
    if count < 1:
        raise DeviceError(f"--workers {count}: at least one is needed")
    spread = tuple(devices[index % len(devices)] for index in range(count))
    return Placement(spread, max(1, cores // count))
