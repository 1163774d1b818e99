"""Which settings matter, beside what chance alone gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gantune.io.formatting import share
from gantune.report.figures.style import ACCENT, FAINT, TEXT, axis, label, new_figure
from gantune.report.words import short_names

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from gantune.report.run import Run

__all__ = ["importance_figure"]

_ROW = 30  # pixels
_AROUND = 110


def importance_figure(run: Run) -> Figure:
    """Shares with their intervals; filled where the data tell them from chance."""
    found = run.importances
    figure = new_figure(_ROW * max(len(found), 1) + _AROUND)
    titles = short_names([one.name for one in found])
    rows = [label(titles[one.name]) for one in found]
    figure.add_trace(
        {
            "type": "bar",
            "orientation": "h",
            "x": [one.chance for one in found],
            "y": rows,
            "name": "chance alone, 95%",
            "marker": {"color": FAINT},
            "width": 0.62,
            "hovertemplate": "%{y}: chance alone stays below %{x:.0%} in 95%<extra></extra>",
        }
    )
    for is_supported, name in ((True, "told from chance"), (False, "not told from chance")):
        group = [(one, row) for one, row in zip(found, rows, strict=True)]
        group = [(one, row) for one, row in group if one.is_supported == is_supported]
        if not group:
            continue
        colour = ACCENT if is_supported else TEXT
        figure.add_trace(
            {
                "type": "scatter",
                "mode": "markers",
                "x": [one.share for one, _ in group],
                "y": [row for _, row in group],
                "error_x": {
                    "type": "data",
                    "symmetric": False,
                    "array": [max(one.high - one.share, 0) for one, _ in group],
                    "arrayminus": [max(one.share - one.low, 0) for one, _ in group],
                    "thickness": 1.6,
                    "width": 5,
                    "color": colour,
                },
                "marker": {
                    "size": 10,
                    "symbol": "circle" if is_supported else "circle-open",
                    "color": colour,
                    "line": {"width": 1.6, "color": colour},
                },
                "name": name,
                "text": [
                    f"{share(one.share)} ({share(one.low)} to {share(one.high)}), p "
                    f"{one.p:.2g}, {one.trials} trials"
                    for one, _ in group
                ],
                "hovertemplate": "%{y}: %{text}<extra></extra>",
            }
        )
    figure.update_xaxes(axis("share explained", tickformat=".0%", range=[-0.02, 1.02]))
    figure.update_yaxes(
        axis("", categoryorder="array", categoryarray=rows[::-1], showgrid=False, type="category")
    )
    return figure
