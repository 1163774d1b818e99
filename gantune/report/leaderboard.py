"""The leaderboard: survivors by score, pruned trials below them, and the finals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rich import box
from rich.console import Console, ConsoleOptions, RenderResult
from rich.table import Table
from rich.text import Text

from gantune.report.columns import GAP, choose_columns, collapsed_with_score
from gantune.report.words import ENDINGS, count, fixed, number
from gantune.search.finalists import Ranked, start_recipe
from gantune.search.records import TrialRecord
from gantune.search.state import RunState

__all__ = [
    "Finals",
    "Leaderboard",
    "mean_text",
    "new_table",
    "score_name",
    "unscored_finalists",
]

_FINALS_WIDTH = 38  # of rank, trial and mean
_SEED_WIDTH = 10


def score_name(state: RunState) -> str:
    """What this search ranks by, such as ``fid[classifier-digits]``; ``score`` before there is one.

    It comes from the scores themselves: a distance that is not of the Inception network is never
    called plain FID.
    """
    for record in (*state.trials, *state.finalists):
        if record.outcome is not None and record.outcome.score is not None:
            return record.outcome.score.name
    return "score"


def mean_text(ranked: Ranked) -> str:
    """A finalist's mean over seeds with its standard deviation: ``8.12 ± 0.31``."""
    spread = "" if ranked.deviation is None else f" ± {fixed(ranked.deviation, digits=2)}"
    return f"{fixed(ranked.mean)}{spread}"


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
        yield Text(_caption(best, len(survivors) - len(best), len(pruned) - len(close)), "dim")


@dataclass(frozen=True)
class Finals:
    """Finalists by their mean over seeds, the start recipe among them. Renderable by rich.

    A finalist without any score stands last, with how its trainings ended.
    """

    state: RunState

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        ranking = self.state.ranking
        if not ranking:
            return
        cells = {(r.origin, r.seed): _ending(r) for r in self.state.finalists if r.outcome}
        seeds = sorted({seed for _, seed in cells if seed is not None})
        over = f"mean over {count(len(seeds), 'fresh seed')} ± standard deviation"
        yield Text(f"Finals: {score_name(self.state)}, {over}", "bold")
        if len(seeds) * _SEED_WIDTH + _FINALS_WIDTH > options.max_width:
            seeds = []
        table = new_table()
        table.add_column("#", justify="right", no_wrap=True)
        table.add_column("trial", no_wrap=True)
        table.add_column("mean", justify="right", no_wrap=True)
        for seed in seeds:
            table.add_column(f"seed {seed}", justify="right", no_wrap=True)
        for rank, ranked in enumerate(ranking, start=1):
            style = "yellow" if ranked.warnings else "bold green" if rank == 1 else ""
            row = (cells.get((ranked.origin, seed), number(None)) for seed in seeds)
            name = self._name(ranked.origin)
            table.add_row(str(rank), name, mean_text(ranked), *row, style=style)
        for origin in unscored_finalists(self.state):
            row = (cells.get((origin, seed), number(None)) for seed in seeds)
            table.add_row("-", self._name(origin), number(None), *row, style="dim")
        yield table
        yield from map(_doubt, (ranked for ranked in ranking if ranked.warnings))

    def _name(self, origin: int) -> str:
        is_start = origin in [record.number for record in start_recipe(self.state.trials)]
        return f"{origin}, start recipe" if is_start else str(origin)


def unscored_finalists(state: RunState) -> list[int]:
    """Numbers of the trials that were trained as finalists and have no score on any seed."""
    ranked = {finalist.origin for finalist in state.ranking}
    ended = {record.origin for record in state.finalists if record.outcome is not None}
    return sorted(origin for origin in ended if origin is not None and origin not in ranked)


def _ending(record: TrialRecord) -> str:
    assert record.outcome is not None
    return ENDINGS[record.outcome.ending] if record.value is None else fixed(record.value)


def _doubt(ranked: Ranked) -> Text:
    first, *rest = ranked.warnings
    more = f" (and {count(len(rest), 'more warning')})" if rest else ""
    return Text(f"! trial {ranked.origin}, {first}{more}", style="yellow")


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


def _caption(best: Sequence[TrialRecord], more: int, more_pruned: int) -> str:
    scores = [record.outcome.score for record in best if record.outcome and record.outcome.score]
    parts = [
        f"protocol {protocol.hash}, {count(protocol.generated, 'sample')} (rungs: fewer)"
        for protocol in dict.fromkeys(score.protocol for score in scores)
    ]
    if more:
        parts.append(count(more, "more survivor"))
    if more_pruned:
        parts.append(f"{more_pruned} more pruned")
    return "; ".join([*parts, "everything: trials.csv"])
