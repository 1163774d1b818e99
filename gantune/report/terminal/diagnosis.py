"""The diagnosis of a log on the terminal."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from gantune.health.diagnosis import Diagnosis
from gantune.health.history import Unit
from gantune.io.formatting import count, figure, share

_STYLES = {"healthy": "bold green", "diverged": "bold red"}


@dataclass(frozen=True)
class DiagnosisSheet:
    """The verdict, its evidence, and which checkpoint to use. Renderable by rich."""

    name: str
    diagnosis: Diagnosis
    is_running: bool = False
    """Whether the run is still training: then nothing was wasted after the stop."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        found = self.diagnosis
        style = _STYLES.get(found.kind, "bold yellow")
        yield Text.assemble((self.name, "bold"), ": ", (headline(found), style))
        if found.verdict is not None:
            yield Text(f"{found.verdict.sentence}  ({found.verdict.rule})")
        yield Text()
        yield self._grid()
        yield from (Text(f"! {note}", "yellow") for note in found.notes)

    def _grid(self) -> Table:
        grid = Table.grid(padding=(0, 2))
        grid.add_column(style="dim", no_wrap=True)
        grid.add_column(overflow="fold")
        for title, text in self._rows():
            grid.add_row(title, Text(text))
        return grid

    def _rows(self) -> Iterator[tuple[str, str]]:
        found = self.diagnosis
        yield "best point", _best(found)
        if found.verdict is not None:
            is_earlier = not self.is_running and found.last > found.verdict.at
            way = f", {share(found.verdict.at / found.last)} of the way" if is_earlier else ""
            yield "stop at", f"{place(found.verdict.at, found.unit)}{way}"
        if not self.is_running and (found.verdict or found.best_score):
            yield "after best", f"{share(found.wasted_share)} of the run"
        records = f"{count(found.records, 'record')} to {place(found.last, found.unit)}"
        yield "read", f"{records}: {', '.join(found.measured)}"
        yield "loss", found.loss or "not named"


def headline(found: Diagnosis) -> str:
    """The verdict in a few words: ``healthy``, ``collapsed by step 14,600``."""
    if found.verdict is None:
        return "healthy"
    return f"{found.kind} by {place(found.verdict.at, found.unit)}"


def place(at: float, unit: Unit) -> str:
    """``step 14,600``, ``200 kimg``."""
    if unit == "kimg":
        return f"{figure(at)} kimg"
    return f"step {at:,.0f}" if at.is_integer() else f"step {at:,.10g}"


def _best(found: Diagnosis) -> str:
    if found.best is None:
        return "none: no record before the evidence is sound"
    score = found.best_score
    if score is not None:
        return f"{place(found.best, found.unit)}, {score.name} {figure(score.value)}"
    what = "the last record" + (" before the evidence" if found.verdict else "")
    return f"{place(found.best, found.unit)}, {what} (no scores were logged)"
