"""The command line: one module for each group of commands.

Commands import heavy packages inside their functions, so that ``gantune --help`` is fast.
"""

import sys
from collections.abc import Callable
from typing import Annotated

import typer

from gantune.cli import doctor, evaluate, results, search, stabilize, train
from gantune.cli.console import Command, Commands, exit_on_error, open_closed_streams
from gantune.io.home import provide_user

__all__ = ["app", "main"]

app = typer.Typer(
    name="gantune",
    help="Hyperparameter search for GANs: stops failing runs, ranks the survivors.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    cls=Commands,
    context_settings={"help_option_names": ["-h", "--help"]},
)
_NAMES: dict[Callable[..., None], str] = {
    results.next_space: "next"
}  # others have the name of their function
for _command in (
    search.init,
    search.search,
    results.watch,
    results.status,
    results.report,
    results.dashboard,
    results.track,
    results.best,
    results.next_space,
    train.train,
    stabilize.stabilize,
    train.sample,
    evaluate.evaluate,
    evaluate.diagnose,
    doctor.doctor,
):
    app.command(_NAMES.get(_command), cls=Command)(_command)


def main() -> None:
    """Runs the command line.

    Exit codes: 0, 1 for a run that failed, 2 for an error of the user's, 3 for a run that
    ``diagnose -`` stops.
    """
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    with exit_on_error():
        provide_user()
        try:
            app()
        finally:
            sys.stdout.flush()  # a closed pipe raises here, not when Python exits


def _print_version(wanted: bool) -> None:
    if wanted:
        from gantune.version import __version__

        print(f"gantune {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print the version."
        ),
    ] = False,
) -> None:
    pass
