"""``dashboard`` and ``watch``: a search seen from outside, while it runs and after."""

from __future__ import annotations

import warnings
from typing import Annotated

import typer
from typer import Option

from gantune.cli.console import make_console
from gantune.cli.options import Run

__all__ = ["dashboard", "watch"]

Port = Annotated[int, Option(min=0, max=65535, metavar="N", help="Its port; 0: any free one.")]
Host = Annotated[
    str, Option(metavar="ADDRESS", help="Who can reach it: 127.0.0.1 this machine, 0.0.0.0 all.")
]


def dashboard(run: Run, port: Port = 8080, host: Host = "127.0.0.1") -> None:
    """Show a search in the browser.

    While it runs or after; Ctrl-C ends the showing.
    """
    from gantune.report.dashboard.server import is_loopback, served
    from gantune.run_folder.run import find_run

    folder = find_run(run)
    with served(folder, host, port) as (server, url):
        try:
            print(f"{folder.path}: {url}")
            if not is_loopback(host):
                print("anyone who reaches this address can see the run: there is no password")
            print("Ctrl-C ends it", flush=True)
            warnings.simplefilter("ignore")  # of Optuna's plots, for whom nobody looks here
            server.serve_forever()
        except KeyboardInterrupt:
            print()


def watch(run: Run) -> None:
    """Watch a search that runs elsewhere.

    The search goes on when the watching ends. Exit code 1: it stopped before it was done.
    """
    from gantune.report.terminal.live import watch_run

    try:
        is_over = watch_run(run, make_console())
    except KeyboardInterrupt:
        print("\nno longer watched; the search goes on")
        raise typer.Exit(130) from None
    if not is_over:
        raise typer.Exit(1)
