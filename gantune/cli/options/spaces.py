"""Arguments and options of ``init``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from typer import Argument, Option

__all__ = ["Force", "ListNames", "Name", "SpaceFile"]

Name = Annotated[str, Argument(metavar="NAME", help="A shipped space.")]
SpaceFile = Annotated[
    Path | None,
    Option("--out", "-o", metavar="FILE", help="File to write.", show_default="spaces/NAME.yaml"),
]
Force = Annotated[bool, Option("--force", help="Write over a file that is there.")]
ListNames = Annotated[bool, Option("--list", help="List the shipped spaces.")]
