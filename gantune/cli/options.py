"""The command line's arguments and options: their names, their help, their defaults in words."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

__all__ = [
    "Address",
    "Auxiliary",
    "Checkpoint",
    "Checkpoints",
    "Class",
    "Colour",
    "ColumnNames",
    "Compare",
    "Config",
    "ConfigFile",
    "Count",
    "Data",
    "Device",
    "DryRun",
    "Engine",
    "ExtractorName",
    "Force",
    "From",
    "GridFile",
    "HeldOutShare",
    "Json",
    "Key",
    "Kimg",
    "LatentSeed",
    "ListNames",
    "LogFile",
    "LossName",
    "Name",
    "NeighboursFile",
    "OneTrial",
    "Overrides",
    "PageFile",
    "Preset",
    "RealData",
    "ReportFile",
    "Resize",
    "Resources",
    "Resume",
    "Run",
    "RunFolder",
    "Runs",
    "SampleCount",
    "SampleSets",
    "Seed",
    "Space",
    "SpaceFile",
    "Storage",
    "Time",
    "Top",
    "TrainFolder",
    "TrainKimg",
    "Trials",
    "WeightsFile",
    "Workers",
]

_OF_SPACE = "the space's"

Run = Annotated[str, Argument(metavar="RUN", help="A run folder, or a study's name under runs/.")]
Device = Annotated[
    str, Option(metavar="NAME", help="auto (all GPUs, else the CPU), cpu, or cuda:0,1.")
]

# init
Name = Annotated[str, Argument(metavar="NAME", help="A shipped space.")]
SpaceFile = Annotated[
    Path | None,
    Option("--out", "-o", metavar="FILE", help="File to write.", show_default="spaces/NAME.yaml"),
]
Force = Annotated[bool, Option("--force", help="Write over a file that is there.")]
ListNames = Annotated[bool, Option("--list", help="List the shipped spaces.")]

# search
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

# status and best
Json = Annotated[bool, Option("--json", help="Print plain values.")]
OneTrial = Annotated[
    int | None, Option(min=0, metavar="N", help="A trial's config.", show_default="the winner's")
]
Top = Annotated[int | None, Option(min=1, metavar="K", help="Configs of the K best trials.")]
ConfigFile = Annotated[
    Path | None,
    Option(
        "--out",
        "-o",
        metavar="FILE",
        help="File to write; with --top FILE-1, FILE-2, ...",
        show_default="print it",
    ),
]

# report
Runs = Annotated[
    list[str], Argument(metavar="RUN...", help="Run folders, or studies' names under runs/.")
]
ReportFile = Annotated[
    Path | None,
    Option(
        "--out",
        "-o",
        metavar="FILE.html",
        help="The page.",
        show_default="report.html in the run folder; with --compare comparison.html here",
    ),
]
Compare = Annotated[
    bool, Option("--compare", help="One page for several runs, scored under one protocol.")
]

# train and sample
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

# evaluate
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

# diagnose
LogFile = Annotated[
    str, Argument(metavar="LOG", help="CSV, TSV or JSON lines; - for what a pipe brings.")
]
LossName = Annotated[
    str | None,
    Option(
        metavar="FAMILY",
        help="The loss: minimax, vanilla, wgan, hinge, lsgan, relativistic.",
        show_default="the log's own where it tells, else unknown",
    ),
]
Auxiliary = Annotated[
    bool,
    Option("--auxiliary", help="The losses hold other terms too, or are scaled."),
]
Preset = Annotated[
    Literal["default", "strict", "lenient", "off"], Option(help="Thresholds of the rules.")
]
ColumnNames = Annotated[
    list[str] | None,
    Option(
        "--columns",
        metavar="SIGNAL=COLUMN,...",
        help="The log's own names, such as d_loss=Loss/D; may be repeated.",
        show_default="common names",
    ),
]
PageFile = Annotated[
    Path | None,
    Option("--plot", metavar="FILE.html", help="Draw the log as a page.", show_default="no page"),
]
