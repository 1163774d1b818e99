"""``doctor``: what this machine has."""

from __future__ import annotations

import typer

from gantune.cli.console import make_console

__all__ = ["doctor"]


def doctor() -> None:
    """Check versions, devices and folders.

    The exit code is 1 where something is broken.
    """
    from gantune.report.doctor import examine, print_findings

    findings = examine()
    print_findings(make_console(), findings)
    if any(finding.state == "broken" for finding in findings):
        raise typer.Exit(1)
