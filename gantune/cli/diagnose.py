"""``gantune diagnose``: health's verdict on the log of any trainer."""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from typer import Argument, Option

from gantune.cli.console import Json, make_console

if TYPE_CHECKING:
    from gantune.health.diagnosis import Diagnosis

_STOPPED = 3  # exit code for a verdict on a run that is still training


def diagnose(
    log: Annotated[
        str, Argument(metavar="LOG", help="CSV, TSV or JSON lines; - for what a pipe brings.")
    ],
    loss: Annotated[
        str | None,
        Option(
            metavar="FAMILY",
            help="The loss: minimax, vanilla, wgan, hinge, lsgan, relativistic.",
            show_default="the log's own where it tells, else unknown",
        ),
    ] = None,
    auxiliary: Annotated[
        bool, Option("--auxiliary", help="The losses hold other terms too, or are scaled.")
    ] = False,
    preset: Annotated[
        Literal["default", "strict", "lenient", "off"], Option(help="Thresholds of the rules.")
    ] = "default",
    columns: Annotated[
        list[str] | None,
        Option(
            "--columns",
            metavar="SIGNAL=COLUMN,...",
            help="The log's own names, such as d_loss=Loss/D; may be repeated.",
            show_default="common names",
        ),
    ] = None,
    plot: Annotated[
        Path | None,
        Option(
            "--plot", metavar="FILE.html", help="Draw the log as a page.", show_default="no page"
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Judge the log of any trainer.

    Reads CSV, JSON lines and StyleGAN's stats.jsonl. With - it judges what a pipe brings, line by
    line, and exits with code 3 on a verdict, which stops the trainer: python train.py | gantune
    diagnose -
    """
    if plot is not None and plot.suffix.lower() != ".html":
        raise typer.BadParameter(f"--plot {plot}: give a name that ends in .html")
    from gantune.health.diagnosis import diagnose_log
    from gantune.health.logs import open_log, open_stream, read_columns
    from gantune.report.analysis.curves import Traces

    judge = partial(diagnose_log, loss=loss, auxiliary=auxiliary, preset=preset)
    named = read_columns(columns or [])
    traces = Traces() if plot is not None else None
    sees = traces.see if traces is not None else None
    is_pipe = log == "-"
    if is_pipe:
        stream = open_stream(sys.stdin.buffer, named)
        stream.warn_early(lambda text: print(f"warning: {text}", file=sys.stderr, flush=True))
        found = judge(stream, stop_at_verdict=True, on_record=sees)
    else:
        with open_log(log, named) as file:
            found = judge(file, on_record=sees)
    name = "stdin" if is_pipe else log
    is_stopped = is_pipe and found.verdict is not None
    _print(name, found, as_json=as_json, is_running=is_stopped)
    if plot is not None and traces is not None:
        from gantune.report.page.diagnosis import write_page

        write_page(plot, name if is_pipe else Path(name).name, found, traces)
        print(f"wrote {plot}", file=sys.stderr)
    if is_stopped:
        raise typer.Exit(_STOPPED)


def _print(name: str, found: Diagnosis, *, as_json: bool, is_running: bool) -> None:
    if as_json:
        print(json.dumps(found.to_dict(), allow_nan=False, indent=2), flush=True)
        return
    from gantune.report.terminal.diagnosis import DiagnosisSheet

    make_console().print(DiagnosisSheet(name, found, is_running))
    sys.stdout.flush()
