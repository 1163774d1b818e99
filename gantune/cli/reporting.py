"""``report``: a search as a page."""

from __future__ import annotations

from pathlib import Path

import typer

from gantune.cli.options import results as options

__all__ = ["report"]


def report(
    runs: options.Runs,
    out: options.ReportFile = None,
    compare: options.Compare = False,
) -> None:
    """Write a search as one page that needs no network.

    By default it is report.html in the run folder. A running search rewrites its page by itself.
    With --compare several runs of one protocol stand side by side on one page.
    """
    if out is not None and out.suffix.lower() != ".html":
        raise typer.BadParameter(f"-o {out}: give a name that ends in .html")
    if compare and len(runs) < 2:
        raise typer.BadParameter("--compare: name two runs or more")
    if out is not None and len(runs) > 1 and not compare:
        raise typer.BadParameter("-o: is for one page; leave it out, or compare with --compare")
    from gantune.report.run import load_run

    found = [load_run(name) for name in runs]
    if compare:
        from gantune.report.page.comparison import write_comparison

        path = out or Path("comparison.html")
        write_comparison(found, path)
        print(f"wrote {path}")
        return
    for run in found:
        print(f"wrote {run.report(out)}")
