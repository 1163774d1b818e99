"""Arguments and options of ``train`` and ``sample``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

__all__ = [
    "Checkpoint",
    "Class",
    "Config",
    "Count",
    "From",
    "GridFile",
    "LatentSeed",
    "Resume",
    "TrainFolder",
    "TrainKimg",
]

Config = Annotated[
    str | None,
    Argument(
        metavar="CONFIG",
        help="A config such as best.yaml, or RUN#NUMBER; with --from its own by default.",
        show_default=False,
    ),
]
From = Annotated[
    str | None,
    Option(
        "--from",
        metavar="CHECKPOINT",
        help="Start from the weights of a best.pt or last.pt, or of RUN#NUMBER.",
        show_default="fresh weights",
    ),
]
TrainKimg = Annotated[
    float | None, Option(metavar="K", help="Length of the run, kimg.", show_default="the config's")
]
Resume = Annotated[bool, Option("--resume", help="Go on from its last.pt.")]
TrainFolder = Annotated[
    Path | None,
    Option(
        metavar="DIR",
        help="Its folder.",
        show_default="CONFIG without .yaml, or from-NAME beside the checkpoint",
    ),
]
Checkpoint = Annotated[
    str, Argument(metavar="CHECKPOINT", help="A best.pt or last.pt, or RUN#NUMBER.")
]
Count = Annotated[int, Option("-n", min=1, max=10_000, metavar="N", help="How many.")]
Class = Annotated[
    int | None,
    Option(
        "--class",
        min=0,
        metavar="C",
        help="Only this class, by its number; for a conditional generator.",
        show_default="as often as in the data",
    ),
]
GridFile = Annotated[Path, Option("--out", "-o", metavar="FILE", help="The picture, a PNG.")]
LatentSeed = Annotated[int, Option(min=0, metavar="S", help="Seed of the latents.")]
