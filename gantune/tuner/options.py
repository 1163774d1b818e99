"""``Options``: what a search may be told beside its space. No torch and no Ray here."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Options:
    """What a search may be told beside its space; ``None`` leaves what the space says.

    ``trials``: how many in all, those that a run folder holds included. ``kimg``: length of each,
    thousands of real images. ``time``: after which no trial begins, such as ``1h30m``. ``workers``:
    trials at a time. ``device``: ``auto`` (all GPUs, else the CPU), ``cpu`` or ``cuda:0,1``.
    ``data``: a source of images, as ``data.source`` of a config. ``storage``: URL of the study's
    database; by default a journal in the run folder. ``out``: the run folder; by default
    ``runs/STUDY``, or ``runs/STUDY-HASH`` where another value changes what scores depend on.
    ``seed``: of sampler and training. ``overrides``: ``path=value`` texts, as behind ``--set``.
    """

    trials: int | None = None
    kimg: float | None = None
    time: str | None = None
    workers: int | Literal["auto"] | None = None
    """Trials at a time; ``None``: as the run began, ``auto`` for a new one."""
    device: str = "auto"
    data: str | None = None
    storage: str | None = None
    out: Path | str | None = None
    seed: int | None = None
    overrides: tuple[str, ...] = ()
    engine: Literal["local", "ray"] = "local"
    """Who trains: workers of this machine, or Ray Tune on one machine or many."""
    address: str | None = None
    """Of a Ray cluster: ``auto`` or ``HOST:PORT``; ``None``: a Ray of this machine alone."""
    resources: str | None = None
    """What a trial takes of the cluster, such as ``gpu=0.25,cpu=2``."""
    checkpoints: Path | str | None = None
    """Folder or URL through which Ray's checkpoints go; ``None``: ``ray/`` in the run folder."""
    command: str = "gantune.search(...)"
    """What ``best.yaml`` names as its origin, and what goes on with a search that was stopped."""

    def as_overrides(self) -> list[str]:
        """All of it that changes the space, as ``path=value``; the explicit ones come last."""
        texts = []
        if self.data is not None:
            source = json.dumps(self.data)
            texts += [f"data.source={source}", "data.key=null", "data.split=train"]
            texts += ["data.resolution=auto", "data.colour=auto", "data.classes=auto"]
        for path, value in (("kimg", self.kimg), ("seed", self.seed), ("sampler.seed", self.seed)):
            texts += [f"{path}={value}"] if value is not None else []
        for path, limit in (("budget.trials", self.trials), ("budget.time", self.time)):
            texts += [f"{path}={limit}"] if limit is not None else []
        return [*texts, *self.overrides]
