"""How a search stands, in print: its closing summary, or how far it is and whether it goes on."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from gantune.report.finals import Finals
from gantune.report.leaderboard import Leaderboard
from gantune.report.summary import print_summary
from gantune.report.view import ProgressView
from gantune.tuner.state import RunState

__all__ = ["print_standing"]


def print_standing(console: Console, state: RunState) -> None:
    """Prints it; of a search that has stopped also the command that goes on with it."""
    if state.is_over:
        print_summary(console, state)
        return
    is_running = state.folder.is_running
    for part in (ProgressView(state, is_running), "", Leaderboard(state), "", Finals(state)):
        console.print(part)
    if not is_running:
        command = state.folder.read_info()["command"]
        console.print(Text(f"\nstopped; go on with: {command}"), soft_wrap=True)
