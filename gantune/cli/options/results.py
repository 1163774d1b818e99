"""Arguments and options of ``best`` and ``report``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

__all__ = ["Compare", "ConfigFile", "OneTrial", "ReportFile", "Runs", "Top"]

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
