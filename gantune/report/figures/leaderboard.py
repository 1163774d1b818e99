"""The leaderboard as a figure: finalists with their spread over seeds, survivors below."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import format_ratio, format_value
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.figures.style import (
    ACCENT,
    TEXT,
    category_axis,
    label,
    marker,
    new_figure,
    value_axis,
)
from gantune.report.run_data import RunData
from gantune.trial.records import TrialRecord
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finalists import FinalistResult

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST = 20  # rows
_ROW = 26  # pixels
_AROUND = 120


def leaderboard(run: RunData) -> Figure:
    """Finalists as mean, standard deviation and seeds, then survivors with one score."""
    state = run.state
    ranking = state.ranking
    finalists = {ranked.origin for ranked in ranking}
    singles = [r for r in state.survivors if r.number not in finalists][: _MOST - len(ranking)]
    rows = [_name(r.origin, r.is_start) for r in ranking]
    rows += [_name(r.number, r.is_start) for r in singles]
    figure = new_figure(_ROW * max(len(rows), 1) + _AROUND)
    if ranking:
        figure.add_trace(_seeds(ranking))
        figure.add_trace(_means(ranking))
        figure.add_trace(_searched(run, ranking))
    figure.add_traces(_singles(singles))
    values = [v for r in ranking for v in r.values] + [r.value for r in singles if r.value]
    figure.update_xaxes(value_axis(label(score_name(state)), values))
    figure.update_yaxes(category_axis(rows))
    return figure


def _name(number: int, is_start: bool) -> str:
    return f"trial {number}{' (start)' if is_start else ''}"


def _means(ranking: Sequence[FinalistResult]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [ranked.mean for ranked in ranking],
        "y": [_name(ranked.origin, ranked.is_start) for ranked in ranking],
        "error_x": {
            "type": "data",
            "array": [ranked.deviation or 0 for ranked in ranking],
            "thickness": 2,
            "width": 6,
            "color": ACCENT,
        },
        "name": "finalist, mean ± sd",
        "marker": {"symbol": "diamond", "size": 11, "color": ACCENT},
        "customdata": [f"trials/{ranked.origin:04d}" for ranked in ranking],
        "text": [
            f"{mean_text(r)} over {len(r.seeds)} seeds<br>recall {format_ratio(r.recall)}, "
            f"coverage {format_ratio(r.coverage)}"
            for r in ranking
        ],
        "hovertemplate": "<b>%{y}</b>: %{text}<extra></extra>",
    }


def _seeds(ranking: Sequence[FinalistResult]) -> dict[str, Any]:
    points = [(value, r) for r in ranking for value in r.values]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [value for value, _ in points],
        "y": [_name(r.origin, r.is_start) for _, r in points],
        "name": "each seed",
        "marker": {"symbol": "line-ns-open", "size": 12, "color": ACCENT, "line": {"width": 1.5}},
        "hovertemplate": "%{y}: %{x:.4g}, one seed<extra></extra>",
    }


def _searched(run: RunData, ranking: Sequence[FinalistResult]) -> dict[str, Any]:
    """The finalists' scores in the search itself."""
    known = {record.number: record for record in run.state.trials}
    found = [(r, known[r.origin]) for r in ranking if known[r.origin].value is not None]
    return {
        "type": "scatter",
        "mode": "markers",
        "x": [record.value for _, record in found],
        "y": [_name(r.origin, r.is_start) for r, _ in found],
        "name": "in the search",
        "marker": {"symbol": "circle-open", "size": 9, "color": TEXT, "line": {"width": 1.5}},
        "customdata": [record.name for _, record in found],
        "hovertemplate": "%{y} in the search: %{x:.4g}, one seed<extra></extra>",
    }


def _singles(singles: Sequence[TrialRecord]) -> list[dict[str, Any]]:
    traces = []
    for ending in MARKS:
        group = [record for record in singles if ending_of(record) == ending]
        if not group:
            continue
        errors = [record.score.error or 0 if record.score else 0 for record in group]
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [record.value for record in group],
                "y": [_name(record.number, record.is_start) for record in group],
                "error_x": {"type": "data", "array": errors, "thickness": 1, "width": 3},
                "name": f"{MARKS[ending].words}, one seed",
                "marker": marker(ending, 8),
                "customdata": [record.name for record in group],
                "text": [_hover_text(record) for record in group],
                "hovertemplate": "<b>%{y}</b>: %{text}<extra></extra>",
            }
        )
    return traces


def _hover_text(record: TrialRecord) -> str:
    score = record.score
    if score is None or score.recall is None:
        return format_value(record.value)
    return (
        f"{format_value(record.value)}<br>recall {format_ratio(score.recall)}, "
        f"coverage {format_ratio(score.coverage)}"
    )
