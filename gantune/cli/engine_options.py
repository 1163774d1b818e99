"""Options of commands that search: how many trials run at a time, and what trains them."""

from __future__ import annotations

from typing import Annotated, Literal

from typer import BadParameter, Option

from gantune.io.formatting import whole_number

Workers = Annotated[
    str | None,
    Option(
        metavar="N",
        help="Trials at a time: a number, or auto.",
        show_default="auto, or as the run began",
    ),
]

Storage = Annotated[
    str | None,
    Option(metavar="URL", help="Database of the study.", show_default="a journal in the folder"),
]

Engine = Annotated[
    Literal["local", "ray"],
    Option(help="What trains: workers of this machine, or Ray Tune, on one machine or many."),
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


def read_workers(text: str | None) -> int | Literal["auto"] | None:
    """The value of ``--workers``. Raises ``BadParameter``."""
    if text is None or text == "auto":
        return "auto" if text else None
    if not (count := whole_number(text)):
        raise BadParameter(f"{text!r} is neither auto nor a whole number above 0")
    return count
