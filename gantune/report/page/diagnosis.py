"""A diagnosis as a page: the log's curves, the stop and the best point. It needs no network."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from gantune.health.diagnosis import Diagnosis
from gantune.io.files import explain_write_errors, write_text
from gantune.report.analysis.curves import Curve
from gantune.report.figures.style import wrapped
from gantune.report.page.html import render
from gantune.report.terminal.diagnosis import headline, not_judged, place

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_PANELS = (
    ("D loss", ("d_loss",), "linear"),
    ("G loss", ("g_loss",), "linear"),
    ("FID", ("fid",), "log"),
    ("Score", ("score",), "log"),
    ("D's outputs", ("d_real", "d_fake"), "linear"),
    ("Gradient norms", ("d_grad", "g_grad"), "log"),
    ("Spread of images", ("spread",), "linear"),
)
_LABELS = {"d_real": "on real", "d_fake": "on generated", "d_grad": "D", "g_grad": "G"}
_FIRST, _SECOND, _STOP, _BEST = "#3b8eea", "#d9822b", "#d64545", "#2f9e5f"
_GRID = "rgba(128, 128, 128, 0.25)"
_HEIGHT = 230  # pixels of a panel
_LABEL_WIDTH = 34  # characters


def write_page(path: Path, name: str, found: Diagnosis, curves: Mapping[str, Curve]) -> None:
    """Writes the page. Raises ``RunError`` where ``path`` cannot be written."""
    with explain_write_errors(path, "--plot"):
        write_text(path, make_page(name, found, curves))


def make_page(name: str, found: Diagnosis, curves: Mapping[str, Curve]) -> str:
    """The complete page as HTML. ``name``: the log's."""
    figure = _figure(found, curves).to_html(
        full_html=False,
        include_plotlyjs=True,
        config={"responsive": True, "displaylogo": False, "displayModeBar": False},
    )
    best, score = None, found.best_score
    if found.best is not None:
        value = f", {score.name} {score.value:.4g}" if score else ""
        wasted = f"{found.wasted_share:.0%} of the run came after it"
        best = f"best point: {place(found.best, found.unit)}{value}; {wasted}"
    page = render(
        "diagnosis.html",
        title=f"{name}: {headline(found)}",
        verdict=found.verdict,
        proposals=found.proposals,
        best=best,
        lacking=not_judged(found),
        notes=found.notes,
        figure=Markup(figure),
        stop_colour=_STOP,
        best_colour=_BEST,
    )
    return f"{page}\n"


def _figure(found: Diagnosis, curves: Mapping[str, Curve]) -> Figure:
    from plotly.subplots import make_subplots

    panels = [
        (title, [name for name in names if name in curves], scale)
        for title, names, scale in _PANELS
        if any(name in curves for name in names)
    ]
    rows = max(len(panels), 1)
    figure = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.25 / rows if rows > 1 else 0,
        subplot_titles=[title for title, _, _ in panels],
    )
    for row, (_, names, scale) in enumerate(panels, start=1):
        for name, colour in zip(names, (_FIRST, _SECOND), strict=False):
            figure.add_trace(_trace(name, curves[name], scale, colour), row=row, col=1)
        figure.update_yaxes(type=scale, row=row, col=1)
    _mark(figure, found)
    figure.update_layout(
        height=_HEIGHT * rows + 90,
        margin={"l": 8, "r": 8, "t": 40, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        font={"color": "#808080", "size": 13},
        legend={"orientation": "h", "y": -0.12 if rows == 1 else -0.35 / rows, "x": 0},
        hovermode="x",
    )
    figure.update_xaxes(gridcolor=_GRID, zerolinecolor=_GRID, nticks=7)
    figure.update_yaxes(gridcolor=_GRID, zerolinecolor=_GRID, automargin=True)
    figure.update_xaxes(title_text=found.unit, row=rows, col=1)
    return figure


def _trace(name: str, curve: Curve, scale: str, colour: str) -> dict[str, Any]:
    values = [
        value if math.isfinite(value) and (scale == "linear" or value > 0) else None
        for value in curve.values
    ]
    is_sparse = len(values) <= 100
    return {
        "type": "scatter",
        "x": list(curve.places),
        "y": values,
        "name": _LABELS.get(name, name),
        "mode": "lines+markers" if is_sparse else "lines",
        "line": {"color": colour, "width": 1.3},
        "marker": {"size": 5},
        "showlegend": name in _LABELS,
    }


def _mark(figure: Figure, found: Diagnosis) -> None:
    """Vertical lines through all panels at the best point and the stop, labelled in the first."""
    lines = []
    if found.best is not None:
        lines.append((found.best, "best point", _BEST, "dot"))
    if found.verdict is not None:
        text = wrapped(f"stop: {found.verdict.sentence}", _LABEL_WIDTH)
        lines.append((found.verdict.at, text, _STOP, "dash"))
    for at, text, colour, dash in lines:
        figure.add_vline(x=at, line={"color": colour, "width": 1.5, "dash": dash})
        is_right, is_last = at > 0.5 * found.last, text == lines[-1][1]
        figure.add_annotation(
            x=at,
            y=1 if is_last else 0.5,  # below the sentence of the stop, above losses near 0
            xref="x",
            yref="y domain",
            xanchor="right" if is_right else "left",
            yanchor="top" if is_last else "bottom",
            align="right" if is_right else "left",
            text=text,
            showarrow=False,
            font={"color": colour, "size": 12},
        )
