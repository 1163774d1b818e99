"""``status`` and ``best``: what a search has found."""

from __future__ import annotations

import json

import typer

from gantune.cli import options
from gantune.cli.console import make_console
from gantune.report.exits import writing

__all__ = ["best", "status"]


def status(run: options.Run, as_json: options.Json = False) -> None:
    """Show how far a search is.

    RUN may name one trial of it, as in: gantune status dcgan#7
    """
    from gantune.report.detail import Detail
    from gantune.report.finals import Finals
    from gantune.report.leaderboard import Leaderboard
    from gantune.report.picks import find_any, find_record
    from gantune.report.status import status_json
    from gantune.report.summary import print_summary
    from gantune.report.view import ProgressView
    from gantune.search.reading import read_run

    folder, number = find_any(run)
    state = read_run(folder)
    if as_json:
        print(json.dumps(status_json(state), indent=2))
    elif number is not None:
        make_console().print(Detail(state, find_record(state, number)))
    elif state.is_over:
        print_summary(make_console(), state)
    else:
        console, is_running = make_console(), folder.is_running
        view = ProgressView(state, is_running)
        for part in (view, "", Leaderboard(state), "", Finals(state)):
            console.print(part)
        if not is_running:
            print(f"\nstopped; go on with: {folder.read_info()['command']}")


def best(
    run: options.Run,
    trial: options.OneTrial = None,
    top: options.Top = None,
    out: options.ConfigFile = None,
) -> None:
    """Print or write the winner's training config."""
    from gantune.files import write_text
    from gantune.report.picks import find_any, pick_best, pick_top, pick_trial
    from gantune.search.reading import read_run

    folder, number = find_any(run)
    if sum(wish is not None for wish in (number, trial, top)) > 1:
        raise typer.BadParameter("one of RUN#NUMBER, --trial and --top is enough")
    number = number if trial is None else trial
    state = read_run(folder)
    if top is not None:
        texts = pick_top(state, top)
    else:
        texts = [pick_best(state) if number is None else pick_trial(state, number)]
    if out is None:
        print("---\n".join(texts), end="")
        return
    for rank, text in enumerate(texts, start=1):
        path = out if top is None else out.with_stem(f"{out.stem}-{rank}")
        with writing(path):
            write_text(path, text)
        print(f"wrote {path}")
