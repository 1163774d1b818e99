"""``Options``: the settings of a search beside its space. Imports neither torch nor Ray."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class Options:
    """The settings of a search beside its space; ``None`` keeps the space's value.

    ``trials``: the total number, with those that the run folder holds. ``kimg``: length of each in
    thousands of real images. ``time``: no trial starts after it, such as ``1h30m``. ``workers``:
    trials at a time. ``device``: ``auto`` (all GPUs, else the CPU), ``cpu`` or ``cuda:0,1``.
    ``data``: a source of images, like ``data.source`` of a config. ``storage``: URL of the study's
    database; by default a journal in the run folder. ``out``: the run folder; by default
    ``runs/STUDY``, or ``runs/STUDY-HASH`` where an option changes what scores depend on. ``seed``:
    of sampler and training. ``overrides``: ``path=value`` texts, like those of ``--set``.
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
