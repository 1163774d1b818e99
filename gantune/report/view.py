"""The live view: what is done, what runs now, and the best so far, as one rich renderable."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gantune.io.formatting import about, duration, number
from gantune.report.analysis.timeline import estimate
from gantune.report.leaderboard import new_table
from gantune.report.words import ENDINGS, fixed, title
from gantune.scores.text import beside_text
from gantune.tuner.descriptions import ranked_text, score_name
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState

__all__ = ["ProgressView", "best_line", "endings_line", "new_bar", "time_line"]

_NARROW_BAR, _WIDE_BAR = 6, 30
_OTHER_COLUMNS = 66  # characters of the running table beside its bar
_LINES_AROUND = 12  # of the view beside the rows of running trials

_STYLES = {
    "completed": "green",
    "pruned": "cyan",
    "diverged": "red",
    "collapsed": "red",
    "stalled": "yellow",
    "out_of_memory": "magenta",
    "crashed": "bold red",
}


@dataclass(frozen=True)
class ProgressView:
    """A search at one moment, no higher than the console. Renderable by rich."""

    state: RunState
    is_running: bool = True
    """Whether a process is at it; else what has not ended was interrupted."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        state = self.state
        height, bar = console.height - _LINES_AROUND, _bar_width(options.max_width)
        yield Text.assemble((state.study, "bold"), (f"  {time_line(state)}", "dim"))
        yield _bars(state, bar)
        yield endings_line(state)
        running = state.running
        if running:
            shown = running[: max(height, 1)]
            yield Text()
            yield self._running(shown, bar)
            if len(running) > len(shown):
                yield Text(f"and {len(running) - len(shown)} more", "dim")
        yield Text()
        yield best_line(state)

    def _running(self, records: list[TrialRecord], bar: int) -> Table:
        table = new_table()
        heading = "running" if self.is_running else "interrupted"
        table.add_column(heading, no_wrap=True, min_width=9)
        table.add_column("kimg", no_wrap=True)
        for name in ("D loss", "G loss", "score", *(["images/s"] if self.is_running else [])):
            table.add_column(name, justify="right", no_wrap=True, min_width=7)
        for record in records:
            tick = self.state.folder.trial(record.name).last_line()
            cells = [*_cells(record, tick, bar)]
            if self.is_running:
                cells.append(f"{tick['images_per_second']:,.0f}" if tick else "starting")
            table.add_row(title(record), *cells)
        return table


def endings_line(state: RunState) -> Text:
    """How many trials ended how: ``6 completed, 4 pruned by rank, 2 diverged``."""
    endings = state.endings
    parts = [
        Text(f"{endings[ending]} {words}", _STYLES[ending])
        for ending, words in ENDINGS.items()
        if endings[ending]
    ]
    return Text(", ").join(parts) if parts else Text("no trial has ended yet", "dim")


def time_line(state: RunState) -> str:
    """``2m 10s so far, about 3 min left``."""
    left = estimate(state).seconds_left
    spent = f"{duration(state.seconds)} so far"
    return f"{spent}, {about(left)} left" if left else spent


def best_line(state: RunState) -> Text:
    """The best so far: of the finalists where there are any, else of the trials."""
    name = score_name(state)
    first = state.winner
    if first is not None:
        text = f"trial {first.origin}, {name} {ranked_text(first)}"
        beside = beside_text(first.recall, first.coverage)
    elif state.survivors:
        best = state.survivors[0]
        assert best.score is not None
        text = f"trial {best.number}, {name} {fixed(best.value)}"
        beside = beside_text(best.score.recall, best.score.coverage)
    else:
        return Text("no score yet", "dim")
    return Text.assemble(("best so far: ", "dim"), (f"{text}, {beside}", "bold green"))


def new_bar(done: float, total: float, width: int) -> ProgressBar:
    """A bar in the style of all bars here."""
    return ProgressBar(
        total=max(total, 1e-9),
        completed=min(done, total),
        width=width,
        complete_style="cyan",
        finished_style="green",
    )


def _bars(state: RunState, bar: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    ended = state.endings.total() - state.endings["crashed"]
    if state.planned_trials is None:
        grid.add_row("trials", Text("until the time is up", "dim"), str(ended))
    else:
        planned = state.planned_trials
        grid.add_row("trials", new_bar(ended, planned, bar), f"{ended}/{planned}")
    if state.finalists:
        done = sum(record.outcome is not None for record in state.finalists)
        planned = max(state.planned_finalists, len(state.finalists))
        grid.add_row("finals", new_bar(done, planned, bar), f"{done}/{planned}")
    return grid


def _cells(
    record: TrialRecord, tick: Mapping[str, Any] | None, bar: int
) -> Iterator[RenderableType]:
    reached = tick["kimg"] if tick is not None else 0.0
    budget = record.budget_kimg
    progress = Table.grid(padding=(0, 1))
    whole = number(budget)
    at = f"{reached:.{0 if budget >= 10 else 1}f}"
    progress.add_row(new_bar(reached, budget, bar), f"{at:>{len(whole)}}/{whole}")
    yield progress
    yield fixed(tick.get("d_loss") if tick else None)
    yield fixed(tick.get("g_loss") if tick else None)
    yield fixed(record.rungs[max(record.rungs)] if record.rungs else None)


def _bar_width(width: int) -> int:
    return min(max(width - _OTHER_COLUMNS, _NARROW_BAR), _WIDE_BAR)
