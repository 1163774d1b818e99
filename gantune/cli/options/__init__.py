"""The command line's arguments and options: their names, their help, their defaults in words.

Here those that several commands share; the others lie in a file for each group of commands.
"""

from __future__ import annotations

from typing import Annotated

from typer import Argument, Option

__all__ = ["Device", "Json", "Run"]

Run = Annotated[str, Argument(metavar="RUN", help="A run folder, or a study's name under runs/.")]
Device = Annotated[
    str, Option(metavar="NAME", help="auto (all GPUs, else the CPU), cpu, or cuda:0,1.")
]
Json = Annotated[bool, Option("--json", help="Print plain values.")]
