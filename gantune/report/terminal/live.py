"""The live view of a search that runs here or elsewhere, and the view of one that has stopped."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from gantune.errors import RunError
from gantune.io.formatting import approximate_duration, count, duration, format_value, number
from gantune.report.analysis.timeline import estimate
from gantune.report.terminal.summary import print_everything, print_found, print_summary
from gantune.report.terminal.tables import (
    finals_view,
    leaderboard_view,
    new_table,
    outcome_counts_line,
)
from gantune.report.wording import left_over, title
from gantune.run_folder.run import RunFolder, find_run
from gantune.scores.text import extra_metrics_text
from gantune.trial.records import TrialRecord
from gantune.tuner.answer import answer
from gantune.tuner.descriptions import ranked_text, score_name
from gantune.tuner.state import RunReader, RunState, SearchObserver

_REFRESH_SECONDS = 0.25
_HEARTBEAT_SECONDS = 60.0
_QUARTERS = 4
_NARROW_BAR, _WIDE_BAR = 6, 30  # characters
_OTHER_COLUMNS = 66  # characters of the running table without its bar
_OTHER_LINES = 12  # of the view without the rows of running trials
_POLL_SECONDS = 0.25  # between two reads of a run
_DATABASE_POLL_SECONDS = 2.0
_PAUSE_FACTOR = 20  # a pause is at least this many times as long as the read before it
_FIRST_LINES = 5  # of the log, when watching starts
_TIMESTAMP = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


class Terminal(SearchObserver):
    """Shows a search on a console; a context manager.

    On a terminal a live view is below the messages until the search ends. Elsewhere every event
    is one plain line, flushed, and a heartbeat line each minute shows the progress.
    """

    def __init__(self, console: Console) -> None:
        self.console = console
        self.is_live = console.is_terminal and not console.is_dumb_terminal
        """Whether there is a live view; otherwise there are only lines."""
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._shown = 0.0  # monotonic time of the last refresh
        self._quarter: tuple[str, int] = ("", 0)

    def __enter__(self) -> Terminal:
        if self.is_live:
            self._live.start()
            self._live.update(Text("setting up", "dim"), refresh=True)
        self._shown = time.monotonic() - _REFRESH_SECONDS
        return self

    def __exit__(self, *_: object) -> None:
        self._live.update(Text())
        self._live.stop()

    def message(self, text: str) -> None:
        """Prints a line that stays; above the live view if there is one."""
        self.console.print(Text(text), soft_wrap=not self.is_live)
        self.console.file.flush()

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Shows a bar for a preparation; in a log a line for each quarter of it.

        A total of 0 means that it cannot be counted: then its name is shown once.
        """
        if self.is_live:
            if total == 0:
                self._shown -= _REFRESH_SECONDS  # its only report must not be skipped
            grid, counts = Table.grid(padding=(0, 2)), f"{done:,} of {total:,}"
            room = self.console.width - len(what) - len(counts) - len(note) - 6
            bar = _bar(done, total, min(max(room, _NARROW_BAR), _WIDE_BAR))
            cells = (bar, counts, Text(note, "dim", no_wrap=True))
            grid.add_row(Text(what), *(cells if total else ()))
            self._show(grid, is_last=done >= max(total, 1))
            return
        if total == 0:
            if done == 0:
                self.message(what)
            return
        quarter = done * _QUARTERS // max(total, 1)
        if (what, quarter) != self._quarter and quarter > 0:
            self.message(f"{what}: {done:,} of {total:,}{note and f' ({note})'}")
        self._quarter = (what, quarter)

    def refresh(self, state: RunState) -> None:
        """Updates the live view; in a log prints one line a minute."""
        if self.is_live:
            self._show(ProgressView(state))
        elif time.monotonic() - self._shown >= _HEARTBEAT_SECONDS:
            self._shown = time.monotonic()
            self.message(heartbeat(state))

    def _show(self, what: RenderableType, is_last: bool = False) -> None:
        if not is_last and time.monotonic() - self._shown < _REFRESH_SECONDS:
            return
        self._shown = time.monotonic()
        self._live.update(Text() if is_last else what, refresh=True)


def heartbeat(state: RunState) -> str:
    """How far a search is and its best so far, as one line of a log."""
    counts = state.outcome_counts
    planned = "" if state.planned_trials is None else f" of {state.planned_trials}"
    outcomes = f" ({outcome_counts_line(state).plain})" if counts else ""
    parts = [f"{counts.total()}{planned} trials{outcomes}"]
    if state.finalists:
        finals = sum(record.outcome is not None for record in state.finalists)
        parts.append(count(finals, "final"))
    return f"{', '.join([*parts, time_line(state)])}; {best_line(state).plain}"


@dataclass(frozen=True)
class ProgressView:
    """A search at one moment, no higher than the console. Renderable by rich."""

    state: RunState
    is_running: bool = True
    """Whether a process runs the search; if not, unfinished trials were interrupted."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        state, running = self.state, self.state.running
        bar = min(max(options.max_width - _OTHER_COLUMNS, _NARROW_BAR), _WIDE_BAR)
        yield Text.assemble((state.study, "bold"), (f"  {self._time_line()}", "dim"))
        yield _bars(state, bar)
        yield outcome_counts_line(state)
        if running:
            shown = running[: max(console.height - _OTHER_LINES, 1)]
            yield Text()
            yield self._running(shown, bar)
            if len(running) > len(shown):
                yield Text(f"and {len(running) - len(shown)} more", "dim")
        yield Text()
        yield best_line(state)

    def _time_line(self) -> str:
        if self.is_running:
            return time_line(self.state)
        return f"stopped after {duration(self.state.seconds)}"

    def _running(self, records: list[TrialRecord], bar: int) -> Table:
        table = new_table()
        table.add_column("running" if self.is_running else "interrupted", no_wrap=True, min_width=9)
        table.add_column("kimg", no_wrap=True)
        for name in ("D loss", "G loss", "score", *(["images/s"] if self.is_running else [])):
            table.add_column(name, justify="right", no_wrap=True, min_width=7)
        for record in records:
            tick = self.state.folder.trial(record.name).last_tick() or {}
            reached, whole = tick.get("kimg", 0.0), number(record.budget_kimg)
            at = f"{reached:.{0 if record.budget_kimg >= 10 else 1}f}"
            progress = Table.grid(padding=(0, 1))
            progress.add_row(_bar(reached, record.budget_kimg, bar), f"{at:>{len(whole)}}/{whole}")
            last_rung = record.rungs[record.last_percent] if record.rungs else None
            values = (tick.get("d_loss"), tick.get("g_loss"), last_rung)
            speed = f"{tick['images_per_second']:,.0f}" if tick else "starting"
            speeds = [speed] if self.is_running else []
            table.add_row(title(record), progress, *map(format_value, values), *speeds)
        return table


def _bars(state: RunState, width: int) -> Table:
    grid = Table.grid(padding=(0, 2))
    ended = state.outcome_counts.total() - state.outcome_counts["crashed"]
    if state.planned_trials is None:
        grid.add_row("trials", Text("until a limit of the budget is reached", "dim"), str(ended))
    else:
        planned = state.planned_trials
        grid.add_row("trials", _bar(ended, planned, width), f"{ended}/{planned}")
    if state.finalists:
        done = sum(record.outcome is not None for record in state.finalists)
        planned = max(state.planned_finalists, len(state.finalists))
        grid.add_row("finals", _bar(done, planned, width), f"{done}/{planned}")
    return grid


def _bar(done: float, total: float, width: int) -> ProgressBar:
    return ProgressBar(
        total=max(total, 1e-9),
        completed=min(done, total),
        width=width,
        complete_style="cyan",
        finished_style="green",
    )


def time_line(state: RunState) -> str:
    """``2m 10s so far, about 3 min left``."""
    left = estimate(state).seconds_left
    spent = f"{duration(state.seconds)} so far"
    return f"{spent}, {approximate_duration(left)} left" if left else spent


def best_line(state: RunState) -> Text:
    """The best so far: of the finalists where there are any, else of the trials."""
    name = score_name(state)
    first = state.winner
    if first is not None:
        text = f"trial {first.origin}, {name} {ranked_text(first)}"
        extra = extra_metrics_text(first.recall, first.coverage)
    elif state.survivors:
        best = state.survivors[0]
        assert best.score is not None
        text = f"trial {best.number}, {name} {format_value(best.value)}"
        extra = extra_metrics_text(best.score.recall, best.score.coverage)
    else:
        return Text("no score yet", "dim")
    return Text.assemble(
        ("best so far: ", "dim"),
        (f"{text}, {extra}", "bold green" if answer(state).is_success else "bold yellow"),
    )


def watch_run(name: str, console: Console) -> bool:
    """Shows a search of another process until it ends or stops, then its status.

    Returns whether the search is over. A search that is being prepared is waited for. Raises
    ``RunError`` if no run has this name.
    """
    with Terminal(console) as terminal:
        folder = _wait_for_start(name, terminal)
        state = _follow(folder, terminal)
    print_status(console, state)
    return state.is_over


def _wait_for_start(name: str, terminal: Terminal) -> RunFolder:
    while True:
        try:
            folder = find_run(name)
            if folder.journal.exists() or folder.read_info().storage:
                return folder
        except RunError:
            if not any(RunFolder(place).is_running for place in (Path(name), Path("runs") / name)):
                raise
        terminal.progress(f"{name} is being prepared", 0, 0)
        time.sleep(_POLL_SECONDS)


def _follow(folder: RunFolder, terminal: Terminal) -> RunState:
    """Shows a run while a process runs it; returns its last state."""
    log, is_first = _new_lines(folder.log), True
    while True:
        with RunReader(folder) as reader:
            begun = reader.info.begun
            while reader.info.begun == begun:
                is_running, start = folder.is_running, time.monotonic()
                state = reader.state()
                if not is_running:
                    return state
                if is_first and not terminal.is_live:
                    terminal.message(heartbeat(state))
                is_first = False
                if terminal.is_live:
                    for line in next(log):
                        terminal.message(line)
                terminal.refresh(state)
                is_database = reader.info.storage is not None
                pause = _DATABASE_POLL_SECONDS if is_database else _POLL_SECONDS
                time.sleep(max(pause, _PAUSE_FACTOR * (time.monotonic() - start)))
                begun = folder.read_info().begun


def _new_lines(path: Path) -> Iterator[list[str]]:
    """The lines that were added to a file since the last step, without timestamps; first the last
    few."""
    position, is_first = 0, True
    while True:
        try:
            with path.open("rb") as file:
                file.seek(position)
                whole = file.read().rpartition(b"\n")[0]
        except FileNotFoundError:
            yield []
            continue
        position += len(whole) + bool(whole)
        lines = [_TIMESTAMP.sub("", line) for line in whole.decode(errors="replace").splitlines()]
        yield lines[-_FIRST_LINES:] if is_first else lines
        is_first = False


def print_status(console: Console, state: RunState, *, whole: bool = False) -> None:
    """Prints the closing screen of a search that is over, else its progress and rankings.

    For a search that has stopped it adds the command that resumes it. ``whole``: prints everything
    that is known of it, behind its progress.
    """
    is_running = state.folder.is_running
    if not whole:
        print_found(console, state.folder)
    if not state.is_over:
        console.print(ProgressView(state, is_running))
        console.print()
    if whole:
        print_everything(console, state)
    elif state.is_over:
        print_summary(console, state)
    else:
        for part in (leaderboard_view(state), "", finals_view(state)):
            console.print(part)
    if not state.is_over and not is_running:
        command = state.folder.read_info().command
        left = f"stopped with {left_over(state)}" if state.paused else "stopped"
        console.print(Text(f"\n{left}; resume with: {command}"), soft_wrap=True)
