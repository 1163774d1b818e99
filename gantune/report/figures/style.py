"""What all figures share: no background of their own, so that they stand on light and dark."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING, Any

from gantune.report.analysis.outcomes import MARKS
from gantune.report.words import title
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = [
    "ACCENT",
    "FAINT",
    "GRID",
    "TEXT",
    "axis",
    "explain",
    "label",
    "marker",
    "new_figure",
    "wrapped",
]

TEXT = "#808891"  # legible on white and on near black
GRID = "rgba(128, 136, 145, 0.22)"
FAINT = "rgba(128, 136, 145, 0.35)"
ACCENT = "#3b8eea"
_WIDTH = 56  # characters of a line in a hover box


def new_figure(height: int, *, legend: bool = True) -> Figure:
    """An empty figure in the style of all figures; ``height`` in pixels."""
    import plotly.graph_objects as go

    return go.Figure(
        layout={
            "template": "none",
            "height": height,
            "margin": {"l": 8, "r": 8, "t": 28, "b": 8},
            "paper_bgcolor": "rgba(0,0,0,0)",
            "plot_bgcolor": "rgba(0,0,0,0)",
            "font": {"color": TEXT, "size": 13, "family": "system-ui, sans-serif"},
            "showlegend": legend,
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "hovermode": "closest",
            "hoverlabel": {"align": "left", "font": {"size": 13}},
        }
    )


def axis(title_text: str, **changes: Any) -> dict[str, Any]:
    """An axis in the style of all axes."""
    return {
        "title": {"text": title_text, "standoff": 6, "font": {"size": 13}},
        "gridcolor": GRID,
        "zeroline": False,
        "linecolor": FAINT,
        "automargin": True,
        "exponentformat": "power",
        **changes,
    }


def marker(ending: str, size: float = 9) -> dict[str, Any]:
    """The marker of an outcome."""
    mark = MARKS[ending]
    return {
        "color": mark.colour,
        "symbol": mark.symbol,
        "size": size,
        "line": {"width": 1.6 if mark.symbol.endswith("open") else 0, "color": mark.colour},
    }


def label(text: object) -> str:
    """Any text as plotly shows it as it is: it reads some HTML."""
    return escape(str(text), quote=False).replace("\n", " ")


def wrapped(text: str) -> str:
    """A sentence on several lines of a hover box."""
    import textwrap

    return "<br>".join(map(label, textwrap.wrap(text, _WIDTH)))


def explain(record: TrialRecord, lines: Iterable[str] = ()) -> str:
    """A run in a hover box: its name, how it ended and why, then more lines."""
    outcome = record.outcome
    name = f"<b>{label(title(record))}</b>"
    parts = [f"{name}: {MARKS[outcome.ending if outcome else 'running'].words}"]
    if outcome is not None and outcome.verdict is not None:
        parts.append(wrapped(outcome.verdict.sentence))
    return "<br>".join([*parts, *map(label, lines)])
