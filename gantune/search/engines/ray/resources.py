"""``Resources``: what one trial takes of a cluster, as ``gpu=0.25,cpu=2``."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gantune.errors import RunError

__all__ = ["Resources", "describe_cluster", "parse_resources", "room"]

_KEYS = {"cpu": "CPU", "gpu": "GPU"}
_TINY = 1e-6  # 1 / 0.1 is a little less than 10


@dataclass(frozen=True)
class Resources:
    """What one trial takes: amounts by Ray's names, such as ``{"CPU": 2.0, "GPU": 0.25}``."""

    amounts: Mapping[str, float]

    @property
    def device(self) -> str:
        """Where such a trial trains."""
        return "cuda" if self.amounts.get("GPU") else "cpu"

    @property
    def threads(self) -> int:
        """Threads of such a trial: one for each whole core, and one at least."""
        return max(1, int(self.amounts.get("CPU", 0)))

    def __str__(self) -> str:
        own = {name: key for key, name in _KEYS.items()}
        return ",".join(f"{own.get(name, name)}={n:g}" for name, n in self.amounts.items())


def parse_resources(text: str) -> Resources:
    """Reads ``gpu=0.25,cpu=2``; one core where it names none. Raises ``RunError``."""
    amounts: dict[str, float] = {}
    for part in text.split(","):
        key, equals, number = part.partition("=")
        name = _KEYS.get(key.strip().lower(), key.strip())
        if not equals or not name:
            raise _wrong(text, f"{part.strip()!r} is not NAME=AMOUNT")
        if name in amounts:
            raise _wrong(text, f"{key.strip()} stands in it twice")
        amounts[name] = _amount(text, part.strip(), number)
    if amounts.get("GPU", 0) > 1 and not amounts["GPU"].is_integer():
        raise _wrong(text, f"gpu={amounts['GPU']:g}: a part of one GPU, or whole ones")
    amounts = {"CPU": 1.0} | amounts
    if not any(amounts.values()):
        raise _wrong(text, "a trial takes something, or there is no end to how many fit")
    return Resources({name: amount for name, amount in amounts.items() if amount})


def room(resources: Resources, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many such trials the machines of a cluster hold at once."""
    return sum(_room_on(resources, node) for node in nodes)


def describe_cluster(nodes: Sequence[Mapping[str, float]]) -> str:
    """What the machines of a cluster have: ``2 machines of 8 CPUs, 1 GPU; 1 machine of 2 CPUs,
    no GPU``."""
    kinds = Counter(map(_describe, nodes))
    return "; ".join(f"{n} machine{'s' * (n > 1)} of {kind}" for kind, n in kinds.items())


def _amount(text: str, part: str, number: str) -> float:
    try:
        amount = float(number)
    except ValueError:
        raise _wrong(text, f"{part!r}: {number.strip()!r} is no number") from None
    if not 0 <= amount < math.inf:
        raise _wrong(text, f"{part!r}: a number from 0 up is needed")
    return amount


def _wrong(text: str, what: str) -> RunError:
    return RunError(f"--resources {text}: {what}; write it as gpu=0.25,cpu=2")


def _room_on(resources: Resources, node: Mapping[str, float]) -> int:
    fits = []
    for name, amount in resources.amounts.items():
        there = node.get(name, 0.0)
        if name == "GPU" and amount < 1:  # no trial lies across two of them
            fits.append(int(there) * int(1 / amount + _TINY))
        else:
            fits.append(int(there / amount + _TINY))
    return min(fits)


def _describe(node: Mapping[str, float]) -> str:
    cpus, gpus = node.get("CPU", 0.0), node.get("GPU", 0.0)
    parts = [f"{cpus:g} CPU{'s' * (cpus != 1)}", f"{gpus:g} GPU{'s' * (gpus != 1)}"]
    if not gpus:
        parts[1] = "no GPU"
    hidden = ("CPU", "GPU", "memory", "object_store_memory")
    own = {name: n for name, n in node.items() if name not in hidden and ":" not in name}
    return ", ".join([*parts, *(f"{n:g} {name}" for name, n in own.items())])
