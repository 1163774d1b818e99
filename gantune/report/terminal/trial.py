"""One trial on the terminal: its outcome and the reason, its scores, its parameters."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from gantune.io.formatting import duration, format_ratio, format_value, last_line, number, share
from gantune.report.terminal.tables import new_table
from gantune.report.wording import ENDINGS
from gantune.scores import score as flags
from gantune.scores.score import Score
from gantune.scores.text import held_out_text, protocol_line
from gantune.trial.records import TrialRecord
from gantune.tuner.descriptions import score_name
from gantune.tuner.state import RunState


@dataclass(frozen=True)
class TrialSheet:
    """One trial of a search with all its facts. Renderable by rich."""

    state: RunState
    record: TrialRecord

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        table = new_table()
        table.show_header = False
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in self._rows():
            table.add_row(Text(name), Text(text))
        table.add_section()
        for name, value in self.record.params.items():
            table.add_row(Text(name), Text(number(value)))
        yield Text(f"{self.state.study}, trial {self.record.number}", "bold")
        yield table

    def _rows(self) -> Iterator[tuple[str, str]]:
        record, outcome = self.record, self.record.outcome
        budget = number(record.budget_kimg)
        if record.is_start:
            yield "origin", "a start recipe"
        if outcome is None:
            is_running = self.state.folder.is_running
            yield "outcome", "none yet" if is_running else "none: interrupted with its search"
        else:
            reached = f"{number(outcome.kimg)} of {budget} kimg"
            yield "outcome", f"{ENDINGS[outcome.ending]} at {reached}"
            if outcome.verdict is not None:
                yield "verdict", f"{outcome.verdict.rule}: {outcome.verdict.sentence}"
            if outcome.error:
                yield "error", last_line(outcome.error)
        if outcome is not None and outcome.score is not None:
            yield from _score_rows(outcome.score)
            yield "scored at", f"{number(outcome.best_kimg)} kimg"
        if record.rungs:
            yield from self._rung_rows()
        if outcome is not None:
            steps = f"{outcome.step:,} generator steps in " if outcome.step else ""
            yield "trained", f"{steps}{duration(outcome.seconds)}"
        folder = self.state.folder.trial(record.name)
        yield "files", str(folder.path)
        if folder.neighbours.exists():
            yield "neighbours", str(folder.neighbours)

    def _rung_rows(self) -> Iterator[tuple[str, str]]:
        protocol = self.state.rung_protocol
        terms = "fewer samples" if protocol is None else protocol_line(protocol)
        for percent, value in sorted(self.record.rungs.items()):
            yield f"at {percent}%", f"{format_value(value)} ({score_name(self.state)}, {terms})"


def _score_rows(score: Score) -> Iterator[tuple[str, str]]:
    protocol = score.protocol
    yield score.name, f"{format_value(score.value)} (protocol {protocol.hash})"
    if protocol.is_external:
        return
    yield "sampling error", format_value(score.error, digits=2)
    yield "recall", f"{format_ratio(score.recall)}, coverage {format_ratio(score.coverage)}"
    yield "precision", f"{format_ratio(score.precision)}, density {format_ratio(score.density)}"
    yield "kid", f"{format_value(score.kid)} ± {format_value(score.kid_error, digits=2)}"
    if score.balance is not None:
        yield "class balance", f"{share(score.balance)} agreement with the real shares"
    for text in flags.warnings(score):
        yield "warning", text
    if score.held_out is not None:
        what, _, text = held_out_text(score.name, score.held_out).partition(": ")
        yield what, text
