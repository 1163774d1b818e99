"""Devices and CPU cores: which there are."""

import os

from gantune.errors import DeviceError
from gantune.io.formatting import count


def available_cores() -> int:
    """How many CPU cores this process may use."""
    return len(os.sched_getaffinity(0))


def thread_count(wanted: int | None, cores: int) -> int:
    """How many CPU threads one training takes; ``None``: one for each of so many cores.

    Raises ``DeviceError`` for fewer than one, and for more than there are cores.
    """
    if wanted is not None and not 1 <= wanted <= cores:
        limits = f"1 to {cores}" if cores > 1 else "1"
        raise DeviceError(
            f"--threads {wanted}: give {limits}, as this process may use {count(cores, 'core')}"
        )
    return wanted or cores


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
