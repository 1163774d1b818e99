"""Devices: which there are, and what torch's errors about a GPU mean."""

import logging
import os
import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gantune.errors import DeviceError
from gantune.events import warn_once
from gantune.io.formatting import count

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""Exists where the driver of an NVIDIA GPU is loaded."""

_VISIBLE = "CUDA_VISIBLE_DEVICES"
_NONE_VISIBLE = ("", "-1", "NoDevFiles")  # its values where a user, or Slurm, wants no GPU
_TORCH_PAGE = "https://pytorch.org/get-started/locally"
_NUMBERS = r"\d+(\s*,\s*\d+)*"
_FOR_SEARCH = "auto, cpu, cuda, or some of several GPUs, such as cuda:0,1"
_FOR_TRAINING = (
    "auto, cpu, cuda, cuda:1, or several devices that share each batch: cuda:0,1 for GPUs, cpu:0,1 "
    "for two processes on the CPU"
)
_log = logging.getLogger(__name__)


# ---- Which GPUs there are -----------------------------------------------------------------------


@dataclass(frozen=True)
class Gpus:
    """The GPUs that torch can use."""

    names: tuple[str, ...] = ()
    """``cuda:0``, ``cuda:1``, ..."""
    problem: str = ""
    """Why there is none, although this machine seems to have one: torch's own words, if any."""
    remedy: str = ""
    """What helps then."""
    is_hidden: bool = False
    """Whether the environment hides them on purpose."""


def find_gpus() -> Gpus:
    """The GPUs that torch can use; where there is none, the reason that torch gives."""
    import torch

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        number = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if number:
        for one in caught:
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)
        return Gpus(tuple(f"cuda:{index}" for index in range(number)))
    told = [str(one.message) for one in caught if issubclass(one.category, UserWarning)]
    reason = _plain(told[0]) if told else _init_error()
    if reason:
        return Gpus((), reason, _remedy(reason))
    if not NVIDIA_DRIVER.exists():
        return Gpus()
    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return Gpus(
            (),
            f"this machine has an NVIDIA driver, but torch {torch.__version__} is built without "
            "CUDA",
            f"install a torch that is built for CUDA: {_TORCH_PAGE}",
        )
    if (visible := os.environ.get(_VISIBLE)) is not None:
        return Gpus(
            (),
            f"{_VISIBLE}={visible} hides every GPU from torch",
            f"unset {_VISIBLE}, or let it list the numbers of GPUs that nvidia-smi shows",
            is_hidden=visible.strip() in _NONE_VISIBLE,
        )
    reason = "this machine has an NVIDIA driver, but torch finds no GPU"
    return Gpus((), reason, _remedy(reason))


def nvidia_driver_version() -> str:
    """The version of NVIDIA's driver, or ``unknown``."""
    text = NVIDIA_DRIVER.read_text() if NVIDIA_DRIVER.exists() else ""
    numbers = (word for word in text.split() if re.fullmatch(r"\d+\.[\d.]+", word))
    return next(numbers, "unknown")


def _init_error() -> str:
    """Why CUDA does not start, in torch's words; empty where that is because there is no GPU.

    torch warns of it only once in a process, and another call may have had the warning.
    """
    import torch

    if not torch.backends.cuda.is_built():  # type: ignore[no-untyped-call]
        return ""
    try:
        torch.cuda.init()  # type: ignore[no-untyped-call]
    except (RuntimeError, AssertionError) as error:
        absent = ("Found no NVIDIA driver", "No CUDA GPUs are available")
        text = _plain(str(error))
        return "" if text.startswith(absent) else text
    return ""


def _plain(text: str) -> str:
    """torch's text in one line, without its prefix and the place in its source."""
    text = " ".join(text.removeprefix("CUDA initialization: ").split())
    return text.partition(" (Triggered internally")[0].rstrip(".")


def _remedy(reason: str) -> str:
    if "too old" in reason:
        return (
            "update the NVIDIA driver, or install a torch that is built for this driver: "
            f"{_TORCH_PAGE}"
        )
    return (
        "see whether nvidia-smi lists the GPU; if it does not, load the driver again or restart "
        "the machine, and start a container with its GPUs (docker run --gpus all)"
    )


# ---- What the user has asked for ----------------------------------------------------------------


def find_devices(name: str) -> list[str]:
    """Torch devices for ``auto`` (all GPUs, else the CPU), ``cpu``, ``cuda`` or ``cuda:0,1``.

    Warns once where ``auto`` is the CPU because torch cannot use a GPU. Raises ``DeviceError`` for
    a missing device; the message lists those that exist.
    """
    if re.fullmatch(rf"cpu:{_NUMBERS}", name):
        raise DeviceError(
            f"--device {name}: only a single training takes several processes on the CPU; give cpu"
        )
    return _find(name)


def training_devices(name: str) -> list[str]:
    """The devices that share each batch of one training: several only where ``name`` lists them.

    ``cuda:0,1``: GPUs of one kind. ``cpu:0,1``: two processes on the CPU, to try it without GPUs.
    Warns where other GPUs stay idle that the user has not named. Raises ``DeviceError``.
    """
    kind, _, indices = name.partition(":")
    is_list = re.fullmatch(_NUMBERS, indices)
    numbers = list(map(int, indices.split(","))) if is_list else []
    if kind in ("cpu", "cuda") and len(set(numbers)) < len(numbers):
        raise DeviceError(f"--device {name}: a device is named twice")
    if kind == "cpu" and numbers:
        return ["cpu"] * len(numbers)
    found = _find(name, for_training=True)
    if not numbers:
        if len(found) > 1:
            _log.warning(_others_idle(found))
        return found[:1]
    kinds = {device: device_kind(device) for device in found} if len(found) > 1 else {}
    if len(set(kinds.values())) > 1:
        each = "; ".join(f"{device}: {of}" for device, of in kinds.items())
        raise DeviceError(
            f"--device {name}: GPUs of different kinds cannot share a batch ({each}); name GPUs of "
            "one kind, or one alone"
        )
    return found


def _find(name: str, *, for_training: bool = False) -> list[str]:
    """``find_devices``. ``for_training``: several share a batch, and the CPU may be several."""
    if name == "cpu":
        return ["cpu"]
    listed = re.fullmatch(rf"cuda(?::({_NUMBERS}))?", name)
    if name != "auto" and not listed:
        meant = _meant_device(name, for_training)
        hint = f" (did you mean {meant!r}?)" if meant else ""
        known = _FOR_TRAINING if for_training else _FOR_SEARCH
        raise DeviceError(f"--device {name}: unknown{hint}; give {known}")
    gpus = find_gpus()
    present = list(gpus.names)
    if not listed:
        if gpus.problem and not gpus.is_hidden:
            warn_once(
                f"the CPU is used, because torch cannot use a GPU here: {gpus.problem}. To use "
                f"the GPU, {gpus.remedy}"
            )
        return present or ["cpu"]
    if gpus.problem:
        raise DeviceError(
            f"--device {name}: torch cannot use a GPU here: {gpus.problem}. To use the GPU, "
            f"{gpus.remedy}"
        )
    if not present:
        raise DeviceError(f"--device {name}: there is no GPU; torch finds only the CPU")
    numbers = listed[1].split(",") if listed[1] else []
    wanted = [f"cuda:{int(number)}" for number in numbers] or present
    if missing := [device for device in wanted if device not in present]:
        raise DeviceError(
            f"--device {name}: there is no {' and no '.join(missing)}; there are "
            f"{', '.join(('cpu', *present))}"
        )
    return list(dict.fromkeys(wanted))


def _meant_device(name: str, for_training: bool) -> str:
    """``cuda:0,1`` for ``cuda:0,cuda:1``; empty where the meaning is unclear."""
    text = name.lower()
    if not re.fullmatch(r"[a-z0-9:;,+\s]{1,200}", text):
        return ""
    words, numbers = re.findall(r"[a-z]+", text), re.findall(r"\d+", text)
    kinds = {"cuda" if word in ("gpu", "gpus", "nvidia") else word for word in words} or {"cuda"}
    if kinds == {"cpu"} and not for_training:
        return "cpu"
    if kinds not in ({"cpu"}, {"cuda"}):
        return ""
    if not numbers and len(words) > 1:
        numbers = list(map(str, range(len(words))))
    listed = ",".join(dict.fromkeys(numbers))
    return f"{kinds.pop()}{':' * bool(listed)}{listed}"


def _others_idle(found: Sequence[str]) -> str:
    """Says that a training uses the first of several GPUs alone."""
    first = device_kind(found[0])
    same = [device for device in found if device_kind(device) == first]
    text = f"this training uses {found[0]} alone, and this machine has {count(len(found), 'GPU')}; "
    if len(same) == 1:
        return f"{text}--device {found[1]} takes another one"
    numbers = ",".join(device.partition(":")[2] for device in same)
    return f"{text}with --device cuda:{numbers} they share each batch, and a search takes them all"


@dataclass(frozen=True)
class DeviceKind:
    """What two GPUs have in common that train equally fast."""

    model: str
    memory: int
    """GiB: of equal GPUs one may have some MiB less than the other."""

    def __str__(self) -> str:
        return f"{self.model}, {self.memory} GiB"


def device_kind(device: str) -> DeviceKind:
    """The kind of a GPU."""
    import torch

    found = torch.cuda.get_device_properties(device)
    return DeviceKind(found.name, round(found.total_memory / 2**30))


# ---- What errors mean ---------------------------------------------------------------------------

_BUSY = ("busy or unavailable", "cudaErrorDevicesUnavailable")
_FULL = ("CUDA out of memory", "CUDA error: out of memory", "cudaErrorMemoryAllocation")


def explain_gpu_error(error: str) -> str:
    """What an error about a GPU means, which torch does not say; empty for other errors."""
    if any(text in error for text in _BUSY):
        return (
            "the GPU is in exclusive mode, or another program has it alone; nvidia-smi shows both, "
            "and nvidia-smi -c 0 lets several processes use it, which a search needs"
        )
    if any(text in error for text in _FULL):
        return "the GPU has too little free memory; nvidia-smi shows whether other programs take it"
    return ""


def last_error(output: str) -> str:
    """The last error with a traceback in what processes have printed, as one line; else empty."""
    _, found, last = output.rpartition("Traceback (most recent call last):\n")
    pattern = r"^(\w+\.)*\w+(: .*)?$"  # the lines of its stack begin with spaces
    match = re.search(pattern, last, re.MULTILINE) if found else None
    return match[0] if match else ""
