"""Arguments and options of ``evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

__all__ = [
    "Colour",
    "ExtractorName",
    "HeldOutShare",
    "Key",
    "NeighboursFile",
    "RealData",
    "Resize",
    "SampleCount",
    "SampleSets",
    "WeightsFile",
]

SampleSets = Annotated[
    list[str],
    Argument(
        metavar="SAMPLES",
        help="A folder, zip, .npy or .npz of images, a checkpoint, or RUN#NUMBER.",
    ),
]
RealData = Annotated[
    str | None,
    Option(
        "--data",
        metavar="SOURCE",
        help="The real images: digits, a folder, zip or file.",
        show_default="what a checkpoint learned",
    ),
]
Key = Annotated[
    str | None,
    Option(
        metavar="NAME",
        help="The array that holds the SAMPLES of an .npz.",
        show_default="the one that looks like images",
    ),
]
ExtractorName = Annotated[
    str | None,
    Option(
        metavar="NAME",
        help="Whose features are compared: auto, inception, classifier, random, or "
        "package.module:factory.",
        show_default="a checkpoint's run's own, else auto",
    ),
]
WeightsFile = Annotated[
    str | None,
    Option(
        metavar="FILE", help="The Inception network's weights.", show_default="their own download"
    ),
]
Resize = Annotated[
    Literal["legacy", "antialias"],
    Option(help="How images come to Inception's size; published FIDs: legacy."),
]
SampleCount = Annotated[
    int | None,
    Option(
        "--samples",
        min=2,
        metavar="N",
        help="Score the first N of each, or draw N.",
        show_default="all images; of a checkpoint as in its run where scored as there, else 2000",
    ),
]
Colour = Annotated[
    Literal["auto", "gray", "rgb"],
    Option(help="What both sides are converted to; auto: the real images' own."),
]
HeldOutShare = Annotated[
    str | None,
    Option(
        "--held-out",
        metavar="auto|0|SHARE",
        help="Real images held out to show copying: auto (the test part), none, or a share.",
        show_default="the checkpoint's, else auto",
    ),
]
NeighboursFile = Annotated[
    Path | None,
    Option(
        metavar="FILE.png",
        help="Draw the samples nearest to training images beside those.",
        show_default="no picture",
    ),
]
