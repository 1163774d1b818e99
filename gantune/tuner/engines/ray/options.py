"""``RayPlan``: what a search on Ray asks for, checked before anything is started. No Ray here."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gantune.errors import RunError

if TYPE_CHECKING:
    from gantune.tuner.options import Options

_URL = re.compile(r"[a-z][a-z0-9+]*://")
_RAY_NAMES = {"cpu": "CPU", "gpu": "GPU"}
_TINY = 1e-6  # 1 / 0.1 is a little less than 10


@dataclass(frozen=True)
class Resources:
    """What one trial takes: amounts by Ray's names, such as ``{"CPU": 2.0, "GPU": 0.25}``."""

    amounts: Mapping[str, float]

    @property
    def device(self) -> str:
        """The torch device of such a trial."""
        return "cuda" if self.amounts.get("GPU") else "cpu"

    @property
    def threads(self) -> int:
        """Threads of such a trial: one for each whole core, at least one."""
        return max(1, int(self.amounts.get("CPU", 0)))

    def __str__(self) -> str:
        names = {ray_name: name for name, ray_name in _RAY_NAMES.items()}
        return ",".join(f"{names.get(name, name)}={n:g}" for name, n in self.amounts.items())


@dataclass(frozen=True)
class RayPlan:
    """How a search runs on Ray."""

    address: str | None
    """``auto``, ``HOST:PORT``, or ``None``: a Ray on this machine for this search alone."""
    resources: Resources | None
    """What each trial takes; ``None``: one core, and one GPU if the cluster has GPUs."""
    checkpoints: str | None
    """Absolute path or URL of the folder through which checkpoints go; ``None``: ``ray/`` in the
    run folder."""
    workers: int | Literal["auto"]
    """Trials at a time; ``auto``: as many as fit on the cluster."""


def plan_ray(options: Options) -> RayPlan | None:
    """The plan of a search with ``engine="ray"``, else ``None``.

    Raises ``RunError`` for options that do not go together or cannot be read.
    """
    if options.engine == "local":
        _reject_ray_options(options)
        return None
    if options.engine != "ray":
        raise RunError(f"--engine {options.engine}: unknown; give local or ray")
    if options.device != "auto":
        raise RunError(
            f"--device {options.device}: with --engine ray a trial trains on what it takes of the "
            "cluster; say that with --resources, such as gpu=1 or cpu=2"
        )
    return RayPlan(
        address=_checked_address(options.address),
        resources=None if options.resources is None else parse_resources(options.resources),
        checkpoints=None if options.checkpoints is None else _absolute(options.checkpoints),
        workers=options.workers or "auto",
    )


def _reject_ray_options(options: Options) -> None:
    given = {
        "--address": options.address,
        "--resources": options.resources,
        "--checkpoints": options.checkpoints,
    }
    for name, value in given.items():
        if value is not None:
            raise RunError(
                f"{name} {value}: is for --engine ray, and this search runs on the local engine; "
                f"add --engine ray, or leave {name} out"
            )


def _checked_address(address: str | None) -> str | None:
    if address is None or address == "auto":
        return address
    if address.startswith("ray://"):
        raise RunError(
            f"--address {address}: is for Ray's client, which gantune does not use; run the "
            "command on a machine of the cluster and give --address auto, or its HOST:PORT (6379, "
            "not 10001)"
        )
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise RunError(f"--address {address}: write auto, or HOST:PORT such as 10.0.0.1:6379")
    return address


def _absolute(place: str | Path) -> str:
    text = str(place)
    return text if _URL.match(text) else str(Path(text).expanduser().resolve())


def parse_resources(text: str) -> Resources:
    """Parses ``gpu=0.25,cpu=2``; a trial takes one core if none are named. Raises ``RunError``."""
    amounts: dict[str, float] = {}
    for part in text.split(","):
        key, equals, number = part.partition("=")
        name = _RAY_NAMES.get(key.strip().lower(), key.strip())
        if not equals or not name:
            raise _invalid(text, f"{part.strip()!r} is not NAME=AMOUNT")
        if name in amounts:
            raise _invalid(text, f"{key.strip()} is named twice")
        amounts[name] = _parse_amount(text, part.strip(), number)
    if amounts.get("GPU", 0) > 1 and not amounts["GPU"].is_integer():
        raise _invalid(text, f"gpu={amounts['GPU']:g}: give a part of one GPU, or whole GPUs")
    amounts = {"CPU": 1.0} | amounts
    if not any(amounts.values()):
        raise _invalid(text, "a trial must take something, or any number of them would fit")
    return Resources({name: amount for name, amount in amounts.items() if amount})


def _parse_amount(text: str, part: str, number: str) -> float:
    try:
        amount = float(number)
    except ValueError:
        raise _invalid(text, f"{part!r}: {number.strip()!r} is not a number") from None
    if not 0 <= amount < math.inf:
        raise _invalid(text, f"{part!r}: give a number from 0 up")
    return amount


def _invalid(text: str, reason: str) -> RunError:
    return RunError(f"--resources {text}: {reason}; write it as gpu=0.25,cpu=2")


def capacity(resources: Resources, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many such trials fit on the machines of a cluster at once."""
    return sum(_capacity_of(node, resources) for node in nodes)


def _capacity_of(node: Mapping[str, float], resources: Resources) -> int:
    fits = []
    for name, amount in resources.amounts.items():
        available = node.get(name, 0.0)
        if name == "GPU" and amount < 1:  # no trial uses parts of two GPUs
            fits.append(int(available) * int(1 / amount + _TINY))
        else:
            fits.append(int(available / amount + _TINY))
    return min(fits)


def describe_cluster(nodes: Sequence[Mapping[str, float]]) -> str:
    """What the machines of a cluster have: ``2 machines of 8 CPUs, 1 GPU; 1 machine of 2 CPUs,
    no GPU``."""
    kinds = Counter(map(_describe_node, nodes))
    return "; ".join(f"{n} machine{'s' * (n > 1)} of {kind}" for kind, n in kinds.items())


def _describe_node(node: Mapping[str, float]) -> str:
    cpus, gpus = node.get("CPU", 0.0), node.get("GPU", 0.0)
    parts = [f"{cpus:g} CPU{'s' * (cpus != 1)}", f"{gpus:g} GPU{'s' * (gpus != 1)}"]
    if not gpus:
        parts[1] = "no GPU"
    hidden = ("CPU", "GPU", "memory", "object_store_memory")
    custom = {name: n for name, n in node.items() if name not in hidden and ":" not in name}
    return ", ".join([*parts, *(f"{n:g} {name}" for name, n in custom.items())])
