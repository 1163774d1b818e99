"""``Options``: the settings of a search beside its space, and what those of Ray mean.

Imports neither torch nor Ray.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantune.errors import RunError
from gantune.io.home import expand_home
from gantune.space.overrides import OptionOverride

_RAY_NAMES = {"cpu": "CPU", "gpu": "GPU"}


@dataclass(frozen=True)
class Options:
    """The settings of a search beside its space; ``None`` keeps the space's value.

    ``trials``: the total number, with those that the run folder holds. ``kimg``: length of each in
    thousands of real images. ``time``: that of trials and finals together, such as ``1h30m``.
    ``workers``: trials at a time. ``device``: ``auto`` (all GPUs, else the CPU), ``cpu`` or
    ``cuda:0,1``. ``data``: a source of images, like ``data.source`` of a config. ``storage``: URL
    of the study's database; by default a journal in the run folder. ``out``: the run folder; by
    default ``runs/STUDY``, or ``runs/STUDY-HASH`` where an option changes what scores depend on.
    ``seed``: of sampler and training. ``overrides``: ``path=value`` texts, like those of ``--set``.
    """

    trials: int | None = None
    kimg: float | None = None
    time: str | None = None
    workers: int | Literal["auto"] | None = None
    """Trials at a time; ``None``: as at the run's first start, or ``auto`` for a new run."""
    device: str = "auto"
    data: str | None = None
    storage: str | None = None
    out: Path | str | None = None
    seed: int | None = None
    overrides: tuple[str, ...] = ()
    prior: tuple[str, ...] = ()
    """Earlier runs whose best three settings are tried first, as with ``start: {from: RUN}``."""
    also: tuple[str, ...] = ()
    """Scores beside the first one, as ``objective.also`` in the space."""
    track: tuple[str, ...] = ()
    """Trackers that show the runs: ``tensorboard``, ``wandb``, ``mlflow``."""
    engine: Literal["local", "ray"] = "local"
    """What trains: workers on this machine, or Ray Tune on one machine or many."""
    address: str | None = None
    """Address of a Ray cluster: ``auto`` or ``HOST:PORT``; ``None``: Ray on this machine alone."""
    resources: str | None = None
    """Resources of a trial in the cluster, such as ``gpu=0.25,cpu=2``."""
    checkpoints: Path | str | None = None
    """Folder or URL for Ray's checkpoints; ``None``: ``ray/`` in the run folder."""
    command: str = "gantune.search(...)"
    """The command that ``best.yaml`` names, and that resumes a search that was stopped."""

    def as_overrides(self) -> list[str]:
        """All options that change the space, as ``path=value``; ``overrides`` come last."""
        found: list[str] = []
        if self.data is not None:
            texts = [f"data.source={json.dumps(self.data)}", "data.key=null", "data.split=train"]
            texts.append("data.classes=auto")
            found += [OptionOverride(text, f"--data {self.data}") for text in texts]
        if self.kimg is not None:
            found.append(OptionOverride(f"kimg={self.kimg}", f"--kimg {self.kimg:g}"))
        for path in ("seed", "sampler.seed") if self.seed is not None else ():
            found.append(OptionOverride(f"{path}={self.seed}", f"--seed {self.seed}"))
        if self.trials is not None:
            found.append(OptionOverride(f"budget.trials={self.trials}", f"--trials {self.trials}"))
        if self.time is not None:
            limit = self.time if self.time.isdigit() else json.dumps(self.time)
            found.append(OptionOverride(f"budget.time={limit}", f"--time {self.time}"))
        if self.also:
            names = " ".join(f"--also {name}" for name in self.also)
            found.append(OptionOverride(f"objective.also={json.dumps(self.also)}", names))
        if self.track:
            names = " ".join(f"--track {name}" for name in self.track)
            found.append(OptionOverride(f"track={json.dumps(self.track)}", names))
        return [*found, *self.overrides]


@dataclass(frozen=True)
class Resources:
    """What one trial takes: amounts by Ray's names, such as ``{"CPU": 2.0, "GPU": 0.25}``."""

    amounts: Mapping[str, float]

    @property
    def device(self) -> str:
        """The torch device of such a trial."""
        return "cuda" if self.amounts.get("GPU") else "cpu"

    @property
    def shares_gpu(self) -> bool:
        """Whether such a trial takes only a part of a GPU."""
        return 0 < self.amounts.get("GPU", 0) < 1

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


def plan_ray(options: Options) -> RayPlan | None:
    """The plan of a search with ``engine="ray"``, else ``None``.

    Raises ``RunError`` for options that do not go together or cannot be read.
    """
    if options.engine == "local":
        for name in ("address", "resources", "checkpoints"):
            value = getattr(options, name)
            if value is not None:
                raise RunError(
                    f"--{name} {value}: is for --engine ray, and this search runs on the local "
                    f"engine; add --engine ray, or leave --{name} out"
                )
        return None
    if options.engine != "ray":
        raise RunError(f"--engine {options.engine}: unknown; give local or ray")
    if options.device != "auto":
        raise RunError(
            f"--device {options.device}: with --engine ray a trial trains on what it takes of the "
            "cluster; say that with --resources, such as gpu=1 or cpu=2"
        )
    address, resources, checkpoints = options.address, options.resources, options.checkpoints
    if address is not None and address.startswith("ray://"):
        raise RunError(
            f"--address {address}: is for Ray's client, which gantune does not use; run the "
            "command on a machine of the cluster and give --address auto, or its HOST:PORT (6379, "
            "not 10001)"
        )
    if address not in (None, "auto") and not re.fullmatch(r".+:\d+", address):
        raise RunError(f"--address {address}: write auto, or HOST:PORT such as 10.0.0.1:6379")
    if checkpoints is not None and not re.match(r"[a-z][a-z0-9+]*://", str(checkpoints)):
        checkpoints = Path(expand_home(str(checkpoints))).resolve()
    return RayPlan(
        address,
        None if resources is None else parse_resources(resources),
        None if checkpoints is None else str(checkpoints),
    )


def parse_resources(text: str) -> Resources:
    """Parses ``gpu=0.25,cpu=2``; a trial takes one core if none are named. Raises ``RunError``."""

    def invalid(reason: str) -> RunError:
        return RunError(f"--resources {text}: {reason}; write it as gpu=0.25,cpu=2")

    amounts: dict[str, float] = {}
    for part in map(str.strip, text.split(",")):
        key, equals, number = map(str.strip, part.partition("="))
        name = _RAY_NAMES.get(key.lower(), key)
        if not equals or not name:
            raise invalid(f"{part!r} is not NAME=AMOUNT")
        if name in amounts:
            raise invalid(f"{key} is named twice")
        try:
            amounts[name] = float(number)
        except ValueError:
            raise invalid(f"{part!r}: {number!r} is not a number") from None
        if not 0 <= amounts[name] < math.inf:
            raise invalid(f"{part!r}: give a number from 0 up")
    if amounts.get("GPU", 0) > 1 and not amounts["GPU"].is_integer():
        raise invalid(f"gpu={amounts['GPU']:g}: give a part of one GPU, or whole GPUs")
    amounts = {"CPU": 1.0} | amounts
    if not any(amounts.values()):
        raise invalid("a trial must take something, or any number of them would fit")
    return Resources({name: amount for name, amount in amounts.items() if amount})
