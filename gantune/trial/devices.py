"""Devices and CPU cores: which there are."""

import os
from dataclasses import dataclass

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


def training_devices(name: str) -> list[str]:
    """The devices that share each batch of one training: several only where ``name`` lists them.

    ``cuda:0,1``: GPUs of one kind. ``cpu:0,1``: two processes on the CPU, to try it without GPUs.
    Raises ``DeviceError``.
    """
    kind, _, indices = name.partition(":")
    numbers = [number.strip() for number in indices.split(",")]
    if len(set(numbers)) < len(numbers):
        raise DeviceError(f"--device {name}: a device is named twice")
    if kind == "cpu" and all(map(str.isdecimal, numbers)):
        return ["cpu"] * len(numbers)
    found = find_devices(name)
    if len(numbers) == 1:
        return found[:1]
    kinds = {device: device_kind(device) for device in found}
    if len(set(kinds.values())) > 1:
        each = "; ".join(f"{device}: {of}" for device, of in kinds.items())
        raise DeviceError(
            f"--device {name}: GPUs of different kinds cannot share a batch ({each}); name GPUs of "
            "one kind, or one alone"
        )
    return found


@dataclass(frozen=True)
class DeviceKind:
    """What two GPUs have in common that train equally fast."""

    model: str
    memory: int
    """Bytes."""

    def __str__(self) -> str:
        return f"{self.model}, {self.memory / 2**30:.1f} GiB"


def device_kind(device: str) -> DeviceKind:
    """The kind of a GPU."""
    import torch

    found = torch.cuda.get_device_properties(device)
    return DeviceKind(found.name, found.total_memory)
