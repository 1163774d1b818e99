"""Scores of samples: one as a sheet, several as a table, either as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from gantune.io.formatting import count, format_ratio, format_value
from gantune.report.terminal.tables import new_table
from gantune.scores.score import Score, warnings
from gantune.scores.text import held_out_text, protocol_text

NamedScore = tuple[str, Score]
"""Name and score of the samples."""

_MEANINGS = {
    "precision": ("higher", "samples among real images"),
    "recall": ("higher", "real images among samples"),
    "density": ("higher", "how densely; real: 1"),
    "coverage": ("higher", "real images near a sample"),
}


@dataclass(frozen=True)
class ScoreSheet:
    """One score with its extra metrics and its protocol. Renderable by rich."""

    name: str
    score: Score

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        protocol = self.score.protocol
        beside = f"{count(protocol.generated, 'sample')} beside {protocol.real:,} real images"
        yield Text.assemble((self.name, "bold"), f": {beside}\n")
        yield self._table()
        yield from (Text(f"! {sentence}", "yellow") for sentence in warnings(self.score))
        yield Text()
        yield from _notes([(self.name, self.score)])

    def _table(self) -> Table:
        table = new_table()
        table.add_column("score", no_wrap=True)
        table.add_column("value", no_wrap=True)
        table.add_column("better", no_wrap=True)
        table.add_column("what it is")
        for index, row in enumerate(self._rows()):
            table.add_row(*map(Text, row), style="bold" if index == 0 else "")
        return table

    def _rows(self) -> Iterator[tuple[str, str, str, str]]:
        score = self.score
        value, kid = _with_error(score.value, score.error), _with_error(score.kid, score.kid_error)
        yield score.name, value, "lower", "distance from real images"
        yield "kid", kid, "lower", "the same, by a kernel"
        for name, (better, meaning) in _MEANINGS.items():
            yield name, format_ratio(getattr(score, name)), better, meaning
        if score.balance is not None:
            yield "class balance", format_ratio(score.balance), "higher", "classes as often as real"
        yield "spread", format_ratio(score.spread), "near 1", "variety; real: 1"


@dataclass(frozen=True)
class ScoreTable:
    """Scores of one protocol, best first. Renderable by rich."""

    ranking: Sequence[NamedScore]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        first = self.ranking[0][1]
        yield Text(f"{first.name} and kid: lower is better; all others: higher is better", "bold")
        table = new_table()
        table.add_column("#", justify="right", no_wrap=True)
        table.add_column("samples", overflow="fold")
        for title in ("score", "kid", "prec", "recall", "dens", "cover", "class"):
            table.add_column(title, justify="right", no_wrap=True)
        for rank, (name, score) in enumerate(self.ranking, start=1):
            shares = (score.precision, score.recall, score.density, score.coverage, score.balance)
            cells = [_with_error(score.value, score.error), _with_error(score.kid, score.kid_error)]
            cells += [format_ratio(share) for share in shares]
            style = "bold green" if rank == 1 else ""
            table.add_row(str(rank), Text(name), *map(Text, cells), style=style)
        yield table
        for name, score in self.ranking:
            yield from (Text(f"! {name}: {sentence}", "yellow") for sentence in warnings(score))
        yield Text("prec: precision, dens: density, cover: coverage, class: class balance\n", "dim")
        yield from _notes(self.ranking)


def scores_json(ranking: Sequence[NamedScore]) -> dict[str, Any] | list[dict[str, Any]]:
    """A score with its protocol and warnings as a plain mapping; several as a list, best first."""
    trees = [
        {"samples": name, **score.to_dict(), "balance": score.balance, "warnings": warnings(score)}
        for name, score in ranking
    ]
    return trees[0] if len(trees) == 1 else trees


def _with_error(value: float | None, error: float | None) -> str:
    """A value and its standard error: ``8.10 ± 0.21``."""
    return f"{format_value(value)} ± {format_value(error, digits=2)}"


def _notes(ranking: Sequence[NamedScore]) -> Iterator[Table | Text]:
    """What the scores depend on, and the protocol that all share."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, score in ranking:
        if score.held_out is not None:
            text = held_out_text(score.name, score.held_out)
            grid.add_row("copying", Text(text if len(ranking) == 1 else f"{name}: {text}"))
    protocol = ranking[0][1].protocol
    accuracy = ""
    if protocol.accuracy is not None:
        accuracy = f", which classifies {protocol.accuracy:.1%} of held-out images correctly"
    images = "" if protocol.colour == "points" else f"; images as {protocol.resize}"
    grid.add_row("extractor", Text(f"{protocol.extractor}{accuracy}{images}"))
    bias = f"with fewer, the same model has a higher {protocol.score_name}"
    grid.add_row("samples", Text(f"{protocol.generated:,}; {bias}"))
    grid.add_row("protocol", f"{protocol.hash}; scores of another protocol cannot be compared")
    grid.add_row("±", "standard error")
    yield grid
    yield Text(f"\n{protocol_text(protocol)}", "dim")
