"""Devices by name, and how many workers and threads they carry."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from gantune.errors import DeviceError


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


def place_workers(devices: list[str], workers: int | Literal["auto"], most: int) -> Placement:
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


def share_out(counts: Mapping[str, int]) -> Placement:
    """So many workers on each device, in turn, so that the first trials are spread over all."""
    rounds = range(max(counts.values()))
    spread = tuple(device for turn in rounds for device, n in counts.items() if turn < n)
    return Placement(spread, max(1, len(os.sched_getaffinity(0)) // len(spread)))
