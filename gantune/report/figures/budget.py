"""Training spent and saved."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantune.io.formatting import count, number
from gantune.report.analysis.outcomes import MARKS
from gantune.report.analysis.spending import spending
from gantune.report.figures.style import FAINT, TEXT, axis, label, new_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from gantune.report.run import Run

__all__ = ["budget_figure"]

_ROW = 30  # pixels
_AROUND = 100


def budget_figure(run: Run) -> Figure:
    """A bar for each reason to end: what it took, and hatched what it saved."""
    found = spending(run.state)
    rows = [label(one.reason) for one in found]
    figure = new_figure(_ROW * max(len(found), 1) + _AROUND)
    figure.add_trace(
        {
            "type": "bar",
            "orientation": "h",
            "x": [one.spent for one in found],
            "y": rows,
            "name": "spent",
            "marker": {"color": [MARKS[one.ending].colour for one in found]},
            "text": [
                f"{count(one.runs, 'run')}, {number(float(one.spent))} kimg spent" for one in found
            ],
            "textposition": "none",
            "hovertemplate": "%{y}: %{text}<extra></extra>",
        }
    )
    figure.add_trace(
        {
            "type": "bar",
            "orientation": "h",
            "x": [one.saved for one in found],
            "y": rows,
            "name": "saved",
            "marker": {
                "color": FAINT,
                "pattern": {"shape": "/", "fgcolor": TEXT, "size": 6, "solidity": 0.15},
            },
            "hovertemplate": "%{y}: %{x:.4g} kimg saved<extra></extra>",
        }
    )
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(axis("kimg of training", rangemode="tozero", tickformat=",.6~g"))
    figure.update_yaxes(
        axis("", categoryorder="array", categoryarray=rows[::-1], showgrid=False, type="category")
    )
    return figure
