"""``search``: tries the settings of a space."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import typer

from gantune.cli.console import make_console, typed_command
from gantune.cli.options import Device
from gantune.cli.options import searching as options
from gantune.cli.signals import ended_by_signals

__all__ = ["search"]


def search(
    space: options.Space,
    trials: options.Trials = None,
    kimg: options.Kimg = None,
    time: options.Time = None,
    workers: options.Workers = None,
    device: Device = "auto",
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
    from gantune.report.terminal.live import Terminal

    count, console = _workers(workers), make_console()
    with ended_by_signals() as came, Terminal(console) as terminal:  # stands as torch loads
        from gantune.tuner.options import Options
        from gantune.tuner.prepare import prepare

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

        from gantune.report.page.background import PageWriter
        from gantune.report.terminal.summary import print_plan, print_summary
        from gantune.tuner.engines.placement import place
        from gantune.tuner.run import run_search
        from gantune.tuner.state import read_run

        if dry_run:
            print_plan(console, replace(prepared, placement=place(prepared, None, terminal)))
            return
        with PageWriter(terminal) as watcher:
            try:
                state, code = run_search(prepared, watcher), 0
            except KeyboardInterrupt:
                if not prepared.folder.info.exists():
                    raise
                state, code = read_run(prepared.folder, prepared.storage), came.exit_code
    print_summary(console, state, interrupted=code != 0)
    if code:
        raise typer.Exit(code)


def _workers(text: str | None) -> int | Literal["auto"] | None:
    if text is None or text == "auto":
        return "auto" if text else None
    if not text.isdigit() or int(text) < 1:
        raise typer.BadParameter(f"{text!r} is neither auto nor a whole number above 0")
    return int(text)
