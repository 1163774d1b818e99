"""The leaderboard and the finals on a terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from gantune.io.formatting import count
from gantune.report import tables
from gantune.report.analysis.significance import rung_agreement
from gantune.report.terminal.tables import TableView, render_note
from gantune.report.wording import ENDINGS
from gantune.scores.text import protocol_line
from gantune.tuner.state import RunState

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
class Leaderboard:
    """Survivors ranked by score, then trials pruned by rank, as wide as the console allows.

    Renderable by rich. ``most`` and ``most_pruned`` limit the rows; ``trials.csv`` has all trials
    with all parameters.
    """

    state: RunState
    most: int = 10
    most_pruned: int = 5

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = tables.leaderboard(self.state, self.most, self.most_pruned)
        if not table.rows:
            yield Text("No trial has a score yet.")
            return
        yield Text(table.title, "bold")
        yield TableView(table)
        yield from map(render_note, table.notes)
        yield Text("; ".join([*self._protocols(), *self._hidden()]), "dim")
        agreement = rung_agreement(self.state.survivors)
        if agreement is not None:
            text = f"! {agreement}" if agreement.is_low else f"{agreement}"
            yield render_note(tables.Note(text, agreement.is_low))

    def _protocols(self) -> Iterator[str]:
        """The protocol of the scores, and the rungs' own one."""
        scores = [record.score for record in self.state.survivors if record.score is not None]
        if scores:
            yield protocol_line(scores[0].protocol)
        rungs = self.state.rung_protocol
        if rungs is not None and not rungs.is_external:
            yield f"rungs: {protocol_line(rungs)}"

    def _hidden(self) -> Iterator[str]:
        """How many trials have no row, and where they are."""
        survivors = len(self.state.survivors) - self.most
        pruned = len(tables.pruned_trials(self.state)) - self.most_pruned
        if survivors > 0:
            yield count(survivors, "more survivor")
        if pruned > 0:
            yield f"{pruned} more pruned"
        yield "everything: trials.csv"


@dataclass(frozen=True)
class Finals:
    """Finalists by their mean over seeds, the start recipe among them. Renderable by rich."""

    state: RunState

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table, ranking = tables.finals(self.state), self.state.ranking
        if not table.rows:
            return
        yield Text(table.title, "bold")
        yield TableView(table)
        yield from map(render_note, table.notes)
        line = protocol_line(ranking[0].scores[0].protocol)
        if ranking[0].error is not None:
            line += "; error: the sampling error of one seed's score"
        yield Text(line, "dim")


def outcome_counts_line(state: RunState) -> Text:
    """How many trials had each outcome: ``6 completed, 4 pruned by rank, 2 diverged``."""
    parts = [
        Text(f"{state.outcome_counts[outcome]} {words}", _STYLES[outcome])
        for outcome, words in ENDINGS.items()
        if state.outcome_counts[outcome]
    ]
    return Text(", ").join(parts) if parts else Text("no trial has ended yet", "dim")
