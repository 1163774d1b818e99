"""Devices: which there are, and how many workers and CPU threads they get."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gantune.errors import DeviceError


@dataclass(frozen=True)
class Placement:
    """One device for each worker, all with the same number of CPU threads."""

    devices: tuple[str, ...]
    threads: int
    open_to: int = 0
    """Up to so many workers in all may pay on these GPUs; only a measurement can tell."""
    measured: tuple[str, ...] = ()
    """Sentences for the user: what was measured to find the number of workers."""
    images_per_second: float | None = None
    """Of all workers together; ``None`` if nothing was measured."""


def available_cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Sets torch's number of threads within the block, and restores it afterwards."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def find_devices(name: str) -> list[str]:
    """Torch devices for ``auto`` (all GPUs, else the CPU), ``cpu``, ``cuda`` or ``cuda:0,1``.

    Raises ``DeviceError`` for a missing device; the message lists those that exist.
    """
    import torch

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    present = [f"cuda:{index}" for index in range(count)]
    kind, _, indices = name.partition(":")
    if name == "cpu":
        return ["cpu"]
    if name == "auto":
        return present or ["cpu"]
    if kind != "cuda":
        raise DeviceError(f"--device {name}: unknown; give auto, cpu, cuda, or cuda:0,1")
    wanted = [f"cuda:{index.strip()}" for index in indices.split(",")] if indices else present
    missing = [device for device in wanted if device not in present]
    if missing or not wanted:
        found = (
            f"there are: cpu, {', '.join(present)}" if present else "this machine has only the CPU"
        )
        raise DeviceError(f"--device {name}: {', '.join(missing) or 'a GPU'} not found; {found}")
    return list(dict.fromkeys(wanted))


def assign_workers(devices: list[str], workers: int | Literal["auto"], most: int) -> Placement:
    """Assigns workers to devices in turn, and divides the CPU cores among the workers.

    ``auto`` means one worker a GPU, with the possibility of more left open. On the CPU it means
    one worker a core, as single-threaded workers train most images a second there. It never means
    more than ``most`` workers, the number of runs.
    """
    cores = available_cores()
    is_cpu = devices == ["cpu"]
    count = max(1, min(cores if is_cpu else len(devices), most)) if workers == "auto" else workers
    if count < 1:
        raise DeviceError(f"--workers {count}: at least one is needed")
    assigned = tuple(devices[index % len(devices)] for index in range(count))
    open_to = min(cores, most) if workers == "auto" and not is_cpu else 0
    return Placement(assigned, max(1, cores // count), open_to)


def distribute(counts: Mapping[str, int]) -> Placement:
    """Assigns ``counts`` workers to each device, in turn: the first trials use all devices."""
    rounds = range(max(counts.values()))
    assigned = tuple(device for turn in rounds for device, n in counts.items() if turn < n)
    return Placement(assigned, max(1, available_cores() // len(assigned)))
