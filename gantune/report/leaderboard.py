"""The leaderboard: survivors by score, and the pruned trials below them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from gantune.io.formatting import count, number
from gantune.report.analysis.significance import rung_agreement
from gantune.report.columns import GAP, choose_columns, collapsed_with_score
from gantune.scores.text import protocol_line
from gantune.tuner.descriptions import score_name
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState


def new_table() -> Table:
    """A table in the style of all tables here."""
    return Table(
        header_style="dim", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, GAP - 1, 0, 0)
    )


@dataclass(frozen=True)
class Leaderboard:
    """Survivors ranked by score, then those pruned by rank, as wide as the console allows.

    Renderable by rich. ``most`` and ``most_pruned`` bound the rows; all trials with all parameters
    are in ``trials.csv``.
    """

    state: RunState
    most: int = 10
    most_pruned: int = 5

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        survivors, pruned = self.state.survivors, _pruned(self.state.trials)
        best, close = survivors[: self.most], pruned[: self.most_pruned]
        if not best and not close:
            yield Text("No trial has a score yet.")
            return
        rank_width = len(str(len(best)))
        columns = choose_columns([*best, *close], options.max_width - rank_width - GAP)
        yield Text(f"Leaderboard: {score_name(self.state)}, lower is better", "bold")
        table = new_table()
        table.add_column("#", justify="right", no_wrap=True)
        for column in columns:
            table.add_column(
                column.title, justify=column.justify, no_wrap=True, max_width=column.limit
            )
        for rank, record in enumerate(best, start=1):
            cells = [Text(column.cell(record)) for column in columns]
            table.add_row(str(rank), *cells, style="bold green" if rank == 1 else "")
        table.add_section()
        for record in close:
            table.add_row("-", *(Text(column.cell(record)) for column in columns), style="dim")
        yield table
        yield from _notes(best, bool(close))
        more = _more(survivors[len(best) :], pruned[len(close) :])
        yield Text("; ".join([*self._protocols(best), *more]), "dim")
        agreement = rung_agreement(survivors)
        if agreement is not None:
            yield Text(str(agreement), "yellow" if agreement.is_low else "dim")

    def _protocols(self, best: Sequence[TrialRecord]) -> Iterator[str]:
        """What the scores were taken under, and those of the rungs, which are of another."""
        scores = [record.score for record in best if record.score is not None]
        if scores:
            yield protocol_line(scores[0].protocol)
        rungs = self.state.rung_protocol
        if rungs is not None and not rungs.is_own:
            yield f"rungs: {protocol_line(rungs)}"


def _pruned(trials: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Trials pruned by rank: those that came furthest first, then by the score they had there."""
    pruned = [r for r in trials if r.outcome and r.outcome.ending == "pruned" and r.rungs]
    return sorted(pruned, key=lambda record: (-max(record.rungs), record.rungs[max(record.rungs)]))


def _notes(best: Sequence[TrialRecord], has_pruned: bool) -> Iterator[Text]:
    for record in best:
        outcome = record.outcome
        if outcome is not None and collapsed_with_score(record):
            yield Text(
                f"* trial {record.number} {outcome.ending} at {number(outcome.kimg)} kimg, "
                f"scored at {number(outcome.best_kimg)} kimg",
                style="yellow",
            )
    if has_pruned:
        yield Text("- pruned by rank at its last rung", style="dim")


def _more(survivors: Sequence[TrialRecord], pruned: Sequence[TrialRecord]) -> Iterator[str]:
    """How many are not shown, and where they are."""
    if survivors:
        yield count(len(survivors), "more survivor")
    if pruned:
        yield f"{len(pruned)} more pruned"
    yield "everything: trials.csv"
