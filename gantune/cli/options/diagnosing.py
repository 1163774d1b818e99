"""Arguments and options of ``diagnose``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from typer import Argument, Option

__all__ = ["Auxiliary", "ColumnNames", "LogFile", "LossName", "PageFile", "Preset"]

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
