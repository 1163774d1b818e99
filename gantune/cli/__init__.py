"""The command line: one file for each group of commands.

What is heavy is imported inside the command that needs it.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from gantune.cli.console import reported
from gantune.cli.diagnose import diagnose
from gantune.cli.doctor import doctor
from gantune.cli.evaluate import evaluate
from gantune.cli.results import best, dashboard, report, status, watch
from gantune.cli.search import init, search
from gantune.cli.train import sample, train

__all__ = ["app", "main"]

app = typer.Typer(
    name="gantune",
    help="Hyperparameter search for GANs: stops the runs that come apart, ranks the survivors.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for _command in (
    *(init, search, watch, status, report, dashboard, best),
    *(train, sample, evaluate, diagnose, doctor),
):
    app.command()(_command)


def main() -> None:
    """Runs the command line. Exit codes: 0, 1 for a run that failed, 2 for the user's errors,
    3 for a run that ``diagnose -`` stops."""
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with reported():
        try:
            app()
        finally:
            sys.stdout.flush()  # here a reader that has gone is noticed, not at Python's end


def _version(wanted: bool) -> None:
    if wanted:
        from gantune.version import __version__

        print(f"gantune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass
