"""Several searches side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gantune.report.comparison import best_of, progress_of
from gantune.report.figures.style import axis, label, new_figure, value_axis
from gantune.report.run_data import RunData
from gantune.tuner.descriptions import mean_text, score_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

COLOURS = ("#3b8eea", "#d9822b", "#2f9e5f", "#9a6dd7", "#c2569c", "#12a3a8", "#d64545", "#8a8f98")
_HEIGHT = 340
_ROW, _AROUND = 40, 110  # pixels


def best_figure(runs: Sequence[RunData], names: Sequence[str]) -> Figure:
    """Each run's best: mean, standard deviation and seeds."""
    figure = new_figure(_ROW * len(runs) + _AROUND, legend=False)
    values: list[float] = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        best = best_of(run.state)
        if best is None:
            continue
        values += best.values
        colour = COLOURS[place % len(COLOURS)]
        figure.add_trace(_points(best.values, name, {"symbol": "line-ns-open", "color": colour}))
        spread = {"type": "data", "array": [best.deviation or 0], "thickness": 2, "width": 6}
        figure.add_trace(
            _points([best.mean], name, {"symbol": "diamond", "color": colour})
            | {"error_x": {**spread, "color": colour}, "text": [mean_text(best)]}
            | {"hovertemplate": "%{y}: %{text}<extra></extra>"}
        )
    figure.update_xaxes(value_axis(label(score_name(runs[0].state)), values))
    rows = [label(name) for name in names]
    figure.update_yaxes(
        axis("", categoryorder="array", categoryarray=rows[::-1], showgrid=False, type="category")
    )
    return figure


def progress_figure(runs: Sequence[RunData], names: Sequence[str]) -> Figure:
    """The best score so far over the training spent, a step at each better trial."""
    figure = new_figure(_HEIGHT)
    values = []
    for place, (run, name) in enumerate(zip(runs, names, strict=True)):
        steps = progress_of(run.state)
        values += [value for _, value, _ in steps]
        trials = [f"trial {int(trial.rpartition('/')[2])}" for _, _, trial in steps]
        figure.add_trace(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [kimg for kimg, _, _ in steps],
                "y": [value for _, value, _ in steps],
                "name": label(name),
                "line": {"shape": "hv", "width": 2, "color": COLOURS[place % len(COLOURS)]},
                "marker": {"size": 5},
                "text": trials,
                "hovertemplate": "%{text}: %{y:.4g} after %{x:.4g} kimg of trials<extra></extra>",
            }
        )
    figure.update_xaxes(axis("kimg of all trials", rangemode="tozero"))
    figure.update_yaxes(value_axis(label(score_name(runs[0].state)), values))
    return figure


def _points(values: Sequence[float], name: str, mark: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(values),
        "y": [label(name)] * len(values),
        "marker": {"size": 12, "line": {"width": 1.6}, **mark},
        "hovertemplate": "%{y}: %{x:.4g}, one seed<extra></extra>",
    }
