"""The leaderboard as a figure: finalists with their spread over seeds, survivors below."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import format_ratio, format_value
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.figures import style
from gantune.report.run_data import RunData
from gantune.scores.score import Score
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finals.finalists import FinalistResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST = 20  # rows
_ROW = 26  # pixels
_AROUND = 120


def leaderboard(run: RunData) -> Figure:
    """Finalists as mean, standard deviation and seeds, then survivors with one score."""
    state, ranking = run.state, run.state.ranking
    finalists = {ranked.origin for ranked in ranking}
    singles = [r for r in state.survivors if r.number not in finalists][: _MOST - len(ranking)]
    names = {record.number: _name(record.number, record.is_start) for record in singles}
    names |= {ranked.origin: _name(ranked.origin, ranked.is_start) for ranked in ranking}
    rows = [names[ranked.origin] for ranked in ranking] + [names[r.number] for r in singles]
    figure = style.new_figure(_ROW * max(len(rows), 1) + _AROUND)
    if ranking:
        figure.add_traces(_finalists(run, names))
    for ending in MARKS:
        group = [record for record in singles if ending_of(record) == ending]
        if not group:
            continue
        errors = [record.score.error or 0 if record.score else 0 for record in group]
        trace = style.points(
            [record.value for record in group],
            [names[record.number] for record in group],
            "<b>%{y}</b>: %{text}",
            error_x={"type": "data", "array": errors, "thickness": 1, "width": 3},
            name=f"{MARKS[ending].words}, one seed",
            marker=style.marker(ending, 8),
            customdata=[record.name for record in group],
            text=[f"{format_value(r.value)}{_metrics(r.score)}" for r in group],
        )
        figure.add_trace(trace)
    values = [v for r in ranking for v in r.values] + [r.value for r in singles if r.value]
    figure.update_xaxes(style.value_axis(style.label(score_name(state)), values))
    figure.update_yaxes(style.category_axis(rows))
    return figure


def _name(number: int, is_start: bool) -> str:
    return f"trial {number}{' (start)' if is_start else ''}"


def _finalists(run: RunData, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Each seed's score, the means, and the scores of the same trials in the search."""
    ranking, trials = run.state.ranking, {r.number: r for r in run.state.trials}
    deviations = [ranked.deviation or 0 for ranked in ranking]
    searched = [trials[r.origin] for r in ranking if trials[r.origin].value is not None]
    return [
        style.points(
            [value for ranked in ranking for value in ranked.values],
            [names[ranked.origin] for ranked in ranking for _ in ranked.values],
            "%{y}: %{x:.4g}, one seed",
            name="each seed",
            marker={
                "symbol": "line-ns-open",
                "size": 12,
                "color": style.ACCENT,
                "line": {"width": 1.5},
            },
        ),
        style.points(
            [ranked.mean for ranked in ranking],
            [names[ranked.origin] for ranked in ranking],
            "<b>%{y}</b>: %{text}",
            error_x={
                "type": "data",
                "array": deviations,
                "thickness": 2,
                "width": 6,
                "color": style.ACCENT,
            },
            name="finalist, mean",
            marker={"symbol": "diamond", "size": 11, "color": style.ACCENT},
            customdata=[f"trials/{ranked.origin:04d}" for ranked in ranking],
            text=[f"{mean_text(r)} over {len(r.seeds)} seeds{_metrics(r)}" for r in ranking],
        ),
        style.points(
            [record.value for record in searched],
            [names[record.number] for record in searched],
            "%{y} in the search: %{x:.4g}, one seed",
            name="in the search",
            marker={
                "symbol": "circle-open",
                "size": 9,
                "color": style.TEXT,
                "line": {"width": 1.5},
            },
            customdata=[record.name for record in searched],
        ),
    ]


def _metrics(scored: Score | FinalistResult | None) -> str:
    if scored is None or (isinstance(scored, Score) and scored.recall is None):
        return ""
    return f"<br>recall {format_ratio(scored.recall)}, coverage {format_ratio(scored.coverage)}"
