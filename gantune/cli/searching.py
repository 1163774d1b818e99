"""``search``: tries the settings of a space."""

from __future__ import annotations

from typing import Literal

import typer

from gantune.cli import options
from gantune.cli.console import make_console, typed_command

__all__ = ["search"]


def search(
    space: options.Space,
    trials: options.Trials = None,
    kimg: options.Kimg = None,
    time: options.Time = None,
    workers: options.Workers = "auto",
    device: options.Device = "auto",
    data: options.Data = None,
    storage: options.Storage = None,
    out: options.RunFolder = None,
    seed: options.Seed = None,
    overrides: options.Overrides = None,
    engine: options.Engine = "local",
    address: options.Address = None,
    resources: options.Resources = None,
    checkpoints: options.Checkpoints = None,
    dry_run: options.DryRun = False,
) -> None:
    """Search a space, or go on with a search.

    The same command goes on where it stopped; more --trials extend it.
    """
    from gantune.report.live import Terminal

    count, console = _workers(workers), make_console()
    with Terminal(console) as terminal:  # stands already while torch is imported
        from gantune.report.plan import print_plan
        from gantune.report.summary import print_summary
        from gantune.search.prepare import Options, prepare
        from gantune.search.reading import read_run
        from gantune.search.run import run_search

        chosen = Options(
            trials=trials,
            kimg=kimg,
            time=time,
            workers=count,
            device=device,
            data=data,
            storage=storage,
            out=out,
            seed=seed,
            overrides=tuple(overrides or ()),
            engine=engine,
            address=address,
            resources=resources,
            checkpoints=checkpoints,
            command=typed_command(),
        )
        prepared = prepare(space, chosen, terminal)
        if dry_run:
            print_plan(console, prepared)
            return
        try:
            state, is_interrupted = run_search(prepared, terminal), False
        except KeyboardInterrupt:
            if not prepared.folder.info.exists():
                raise
            state, is_interrupted = read_run(prepared.folder), True
    print_summary(console, state, interrupted=is_interrupted)
    if is_interrupted:
        raise typer.Exit(130)


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither auto nor a whole number above 0")
    return int(text)
