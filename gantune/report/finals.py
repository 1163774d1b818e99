"""The finals: survivors trained again on fresh seeds, by their mean."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from gantune.io.formatting import count, hundredths, number
from gantune.report.columns import GAP
from gantune.report.leaderboard import new_table
from gantune.report.words import ENDINGS, fixed
from gantune.scores.text import protocol_line
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finalists import Ranked, start_recipe
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState, unscored_finalists

_TITLES = ("#", "trial", "mean", "error", "recall", "coverage")


_NONE = number(None)


@dataclass(frozen=True)
class Finals:
    """Finalists by their mean over seeds, the start recipe among them. Renderable by rich.

    A finalist without any score stands last, with how its trainings ended. Each seed's score is
    shown where the console has room for all of them.
    """

    state: RunState

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ranking = self.state.ranking
        if not ranking:
            return
        seeds = sorted({run.seed for run in self._ended() if run.seed is not None})
        over = f"mean over {count(len(seeds), 'fresh seed')} ± standard deviation"
        yield Text(f"Finals: {score_name(self.state)}, {over}", "bold")
        titles = [*_TITLES, *(f"seed {seed}" for seed in seeds)]
        rows = [*self._ranked(seeds), *self._unscored(seeds)]
        if _width([titles, *rows]) > options.max_width:
            titles, rows = titles[: len(_TITLES)], [row[: len(_TITLES)] for row in rows]
        table = new_table()
        for title in titles:
            table.add_column(title, justify="left" if title == "trial" else "right", no_wrap=True)
        for place, row in enumerate(rows):
            table.add_row(*row, style=self._style(place))
        yield table
        yield from map(_doubt, (ranked for ranked in ranking if ranked.warnings))
        line = protocol_line(ranking[0].scores[0].protocol)
        if ranking[0].error is not None:
            line += "; error: of one seed's score, from the drawing of its samples"
        yield Text(line, "dim")

    def _ranked(self, seeds: Sequence[int]) -> Iterator[list[str]]:
        for rank, ranked in enumerate(self.state.ranking, start=1):
            yield [
                str(rank),
                self._name(ranked.origin),
                mean_text(ranked),
                fixed(ranked.error, digits=2),
                hundredths(ranked.recall),
                hundredths(ranked.coverage),
                *self._cells(ranked.origin, seeds),
            ]

    def _unscored(self, seeds: Sequence[int]) -> Iterator[list[str]]:
        for origin in unscored_finalists(self.state):
            yield ["-", self._name(origin), *4 * [_NONE], *self._cells(origin, seeds)]

    def _cells(self, origin: int, seeds: Sequence[int]) -> list[str]:
        """How each seed's training ended."""
        cells = {run.seed: _ending(run) for run in self._ended() if run.origin == origin}
        return [cells.get(seed, _NONE) for seed in seeds]

    def _ended(self) -> list[TrialRecord]:
        return [run for run in self.state.finalists if run.outcome is not None]

    def _name(self, origin: int) -> str:
        is_start = origin in [record.number for record in start_recipe(self.state.trials)]
        return f"{origin} start" if is_start else str(origin)

    def _style(self, place: int) -> str:
        ranking = self.state.ranking
        if place >= len(ranking):
            return "dim"
        return "yellow" if ranking[place].warnings else "bold green" if place == 0 else ""


def _width(rows: Sequence[Sequence[str]]) -> int:
    """Characters that a table of these rows takes."""
    return sum(max(map(cell_len, column)) + GAP for column in zip(*rows, strict=True))


def _ending(record: TrialRecord) -> str:
    assert record.outcome is not None
    return ENDINGS[record.outcome.ending] if record.value is None else fixed(record.value)


def _doubt(ranked: Ranked) -> Text:
    first, *rest = ranked.warnings
    more = f" (and {count(len(rest), 'more warning')})" if rest else ""
    return Text(f"! trial {ranked.origin}, {first}{more}", style="yellow")
