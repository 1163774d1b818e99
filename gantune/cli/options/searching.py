"""Arguments and options of ``search``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

__all__ = [
    "Address",
    "Checkpoints",
    "Data",
    "DryRun",
    "Engine",
    "Kimg",
    "Overrides",
    "Resources",
    "RunFolder",
    "Seed",
    "Space",
    "Storage",
    "Time",
    "Trials",
    "Workers",
]

_OF_SPACE = "the space's"

Space = Annotated[str, Argument(metavar="SPACE", help="A space file, or a shipped space's name.")]
Trials = Annotated[
    int | None, Option(min=1, metavar="N", help="Trials in all.", show_default=_OF_SPACE)
]
Kimg = Annotated[
    float | None, Option(metavar="K", help="Length of a trial, kimg.", show_default=_OF_SPACE)
]
Time = Annotated[
    str | None,
    Option(metavar="2h", help="Begin no trial after 2h, 90m or 1h30m.", show_default=_OF_SPACE),
]
Workers = Annotated[
    str | None,
    Option(
        metavar="N",
        help="Trials at a time: a number, or auto.",
        show_default="auto, or as the run began",
    ),
]
Data = Annotated[
    str | None, Option(metavar="SOURCE", help="Images to learn.", show_default=_OF_SPACE)
]
Storage = Annotated[
    str | None,
    Option(metavar="URL", help="Database of the study.", show_default="a journal in the folder"),
]
RunFolder = Annotated[
    Path | None,
    Option(
        metavar="DIR",
        help="The run folder itself.",
        show_default="runs/STUDY, or runs/STUDY-HASH with overrides",
    ),
]
Seed = Annotated[
    int | None,
    Option(min=0, metavar="S", help="Seed of sampler and training.", show_default=_OF_SPACE),
]
Overrides = Annotated[
    list[str] | None,
    Option("--set", metavar="PATH=VALUE", help="Override a value; may be repeated."),
]
Engine = Annotated[
    Literal["local", "ray"],
    Option(help="Who trains: workers of this machine, or Ray Tune, on one machine or many."),
]
Address = Annotated[
    str | None,
    Option(
        metavar="auto|HOST:PORT",
        help="A Ray cluster; auto: the one that this machine is part of.",
        show_default="a Ray of this machine alone",
    ),
]
Resources = Annotated[
    str | None,
    Option(
        metavar="gpu=1,cpu=2",
        help="What a trial takes of the cluster.",
        show_default="cpu=1, and gpu=1 where it has GPUs",
    ),
]
Checkpoints = Annotated[
    str | None,
    Option(
        metavar="PATH",
        help="Where Ray's checkpoints go through: a folder all machines see, or s3://...",
        show_default="ray/ in the run folder",
    ),
]
DryRun = Annotated[
    bool, Option("--dry-run", help="Show the first config and the cost; train nothing.")
]
