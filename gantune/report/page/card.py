"""A search in a notebook: what won, in a few lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantune.report.page.html import Node, tag
from gantune.report.terminal.live import best_line, endings_line

if TYPE_CHECKING:
    from gantune.report.run import Run

__all__ = ["card"]


def card(run: Run) -> str:
    """A few lines of HTML."""
    state = run.state
    stand = "ended" if state.is_over else "running" if state.folder.is_running else "stopped"
    lines: list[Node] = [
        tag("b", state.study),
        f" ({stand}): {endings_line(state).plain}",
        tag("br"),
        best_line(state).plain,
        tag("br"),
        tag("code", str(state.folder.path)),
    ]
    return tag("div", *lines)
