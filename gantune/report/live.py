"""``Terminal``: what a search shows while it runs, on a terminal and in a log."""

from __future__ import annotations

import time
from types import TracebackType

from rich.console import Console, RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from gantune.events import Watcher
from gantune.io.formatting import count
from gantune.report.view import ProgressView, best_line, new_bar, time_line
from gantune.report.words import ENDINGS
from gantune.tuner.state import RunState

__all__ = ["Terminal", "heartbeat"]

_REFRESH_SECONDS = 0.25
_HEARTBEAT_SECONDS = 60.0
_QUARTERS = 4
_BAR = 30


class Terminal(Watcher):
    """Shows a search on a console; a context manager.

    On a terminal a live view stands below the lines of what happened, and goes when the search
    ends. Elsewhere every event is one plain line, flushed, with a line a minute on how far it is.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.is_live = console.is_terminal and not console.is_dumb_terminal
        """Whether there is a live view; else lines alone."""
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._shown = 0.0  # monotonic time of the last refresh
        self._quarter: tuple[str, int] = ("", 0)

    def __enter__(self) -> Terminal:
        if self.is_live:
            self._live.start()
            self._live.update(Text("setting up", "dim"), refresh=True)
        self._shown = time.monotonic() - _REFRESH_SECONDS
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.update(Text())
        self._live.stop()

    def say(self, text: str) -> None:
        """A line that stays; above the live view where there is one."""
        self._print(text)

    def progress(self, what: str, done: int, total: int) -> None:
        """A bar while a preparation goes on; in a log a line for each quarter of it.

        What cannot be counted, with a total of 0, is named when it begins.
        """
        if self.is_live:
            if total == 0:
                self._shown -= _REFRESH_SECONDS  # it has one beginning, which must not be missed
            self._show(_preparation(what, done, total), is_last=done >= max(total, 1))
            return
        if total == 0:
            if done == 0:
                self._print(what)
            return
        quarter = done * _QUARTERS // max(total, 1)
        if (what, quarter) != self._quarter and quarter > 0:
            self._print(f"{what}: {done:,} of {total:,}")
        self._quarter = (what, quarter)

    def refresh(self, state: RunState) -> None:
        """The live view; in a log one line a minute."""
        if self.is_live:
            self._show(ProgressView(state))
        elif time.monotonic() - self._shown >= _HEARTBEAT_SECONDS:
            self._shown = time.monotonic()
            self._print(heartbeat(state))

    def _show(self, what: RenderableType, is_last: bool = False) -> None:
        if not is_last and time.monotonic() - self._shown < _REFRESH_SECONDS:
            return
        self._shown = time.monotonic()
        self._live.update(Text() if is_last else what, refresh=True)

    def _print(self, text: str) -> None:
        self.console.print(Text(text), soft_wrap=not self.is_live)
        self.console.file.flush()


def _preparation(what: str, done: int, total: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    if total == 0:
        grid.add_row(Text(what))
        return grid
    grid.add_row(Text(what), new_bar(done, total, _BAR), f"{done:,} of {total:,}")
    return grid


def heartbeat(state: RunState) -> str:
    """How far a search is and its best so far, as one line of a log."""
    planned = "" if state.planned_trials is None else f" of {state.planned_trials}"
    endings = ", ".join(f"{state.endings[e]} {w}" for e, w in ENDINGS.items() if state.endings[e])
    done = f"{state.endings.total()}{planned} trials{f' ({endings})' if endings else ''}"
    finals = sum(record.outcome is not None for record in state.finalists)
    parts = [done, *([count(finals, "final")] if state.finalists else []), time_line(state)]
    return f"{', '.join(parts)}; {best_line(state).plain}"
