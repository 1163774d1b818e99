"""``status`` and ``best``: what a search has found."""

from __future__ import annotations

import json
from typing import Annotated, Literal

import typer
from typer import Option

from gantune.cli.console import make_console
from gantune.cli.options import Json, Run
from gantune.cli.options import results as options
from gantune.io.files import writing

__all__ = ["best", "status"]


def status(run: Run, as_json: Json = False) -> None:
    """Show how far a search is.

    RUN may name one trial of it, as in: gantune status dcgan#7
    """
    from gantune.report.selection import find_any, find_record
    from gantune.report.status import status_json
    from gantune.report.terminal.summary import print_standing
    from gantune.report.terminal.trial import Detail
    from gantune.tuner.state import read_run

    folder, number = find_any(run)
    state = read_run(folder)
    if as_json:
        print(json.dumps(status_json(state), indent=2))
    elif number is not None:
        make_console().print(Detail(state, find_record(state, number)))
    else:
        print_standing(make_console(), state)


Form = Annotated[
    Literal["yaml", "json", "python"] | None,
    Option(
        "--format",
        help="How it is written; python: for pasting into a training script.",
        show_default="what FILE's name says, else yaml",
    ),
]


def best(
    run: Run,
    trial: options.OneTrial = None,
    top: options.Top = None,
    out: options.ConfigFile = None,
    form: Form = None,
) -> None:
    """Print or write the winner's training config."""
    from gantune.io.files import write_text
    from gantune.report.export import format_of, in_format
    from gantune.report.selection import find_any, pick_best, pick_top, pick_trial
    from gantune.tuner.state import read_run

    folder, number = find_any(run)
    if sum(wish is not None for wish in (number, trial, top)) > 1:
        raise typer.BadParameter("one of RUN#NUMBER, --trial and --top is enough")
    number = number if trial is None else trial
    state = read_run(folder)
    if top is not None:
        texts = pick_top(state, top)
    else:
        texts = [pick_best(state) if number is None else pick_trial(state, number)]
    form = form or format_of(out)
    if out is None:
        print(in_format(texts, form, is_list=top is not None), end="")
        return
    for rank, text in enumerate(texts, start=1):
        path = out if top is None else out.with_stem(f"{out.stem}-{rank}")
        with writing(path):
            write_text(path, in_format([text], form, is_list=False))
        print(f"wrote {path}")
