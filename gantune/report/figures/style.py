"""The style of all figures: no background, so that they fit light and dark pages."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import number
from gantune.report.analysis.outcomes import MARKS
from gantune.report.wording import title
from gantune.trial.records import TrialRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


TEXT = "#808891"  # legible on white and on near black
GRID = "rgba(128, 136, 145, 0.22)"
FAINT = "rgba(128, 136, 145, 0.35)"
ACCENT = "#7672e8"  # of what is no outcome
WINNER = "#e5007d"  # no outcome has it
_WIDTH = 56  # characters of a line in a hover text

_WIDE = 8.0  # ratio of largest to smallest value, from which on an axis is logarithmic
_PADDING = 0.05  # of the span, beyond the outermost value
_MOST_TICKS = 6


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


def category_axis(rows: Sequence[str], title_text: str = "") -> dict[str, Any]:
    """A vertical axis with one row for each text, the first on top."""
    order = {"categoryorder": "array", "categoryarray": rows[::-1]}
    return axis(title_text, showgrid=False, type="category", **order)


def points(x: Sequence[Any], y: Sequence[Any], hover: str, **more: Any) -> dict[str, Any]:
    """A trace of markers; ``hover``: the template of the text at each."""
    shape = {"type": "scatter", "mode": "markers", "x": x, "y": y}
    return {**shape, "hovertemplate": f"{hover}<extra></extra>", **more}


def bars(x: Sequence[Any], rows: Sequence[Any], hover: str, **more: Any) -> dict[str, Any]:
    """A trace of horizontal bars."""
    shape = {"type": "bar", "orientation": "h", "x": x, "y": rows}
    return {**shape, "hovertemplate": f"{hover}<extra></extra>", **more}


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
    """A text that plotly shows unchanged: plotly reads some HTML in its texts."""
    return escape(str(text), quote=False).replace("\n", " ")


def wrapped(text: str, width: int = _WIDTH) -> str:
    """A sentence, escaped, on several lines of at most ``width`` characters."""
    return "<br>".join(map(label, textwrap.wrap(text, width)))


def explain(record: TrialRecord, lines: Iterable[str] = ()) -> str:
    """A run's hover text: its name, how it ended and why, then more lines."""
    outcome = record.outcome
    name = f"<b>{label(title(record))}</b>"
    parts = [f"{name}: {MARKS[outcome.ending if outcome else 'running'].words}"]
    if outcome is not None and outcome.verdict is not None:
        parts.append(wrapped(outcome.verdict.sentence))
    return "<br>".join([*parts, *map(label, lines)])


def is_wide(values: Sequence[float]) -> bool:
    """Whether positive values span a range too wide for a linear axis."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _WIDE


def value_axis(title: str, values: Sequence[float], padding: float = _PADDING) -> dict[str, Any]:
    """A linear axis, or a logarithmic one where the values span a wide range. ``padding``: share of
    that range beyond its ends."""
    if not is_wide(values):
        return axis(title)
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = padding * (high - low)
    ticks = _ticks(low - pad, high + pad)
    return axis(
        title,
        type="log",
        range=[low - pad, high + pad],
        tickvals=ticks,
        ticktext=[number(tick) for tick in ticks],
    )


def signed_log(value: float | None) -> float | None:
    """Linear around 0, logarithmic beyond 1 to both sides: an exploding and a calm loss are both
    visible."""
    return None if value is None else math.asinh(value * 5) / 5


def signed_log_axis(title: str, values: Sequence[float]) -> dict[str, Any]:
    """The axis for ``signed_log``; ``values``: before the transformation."""
    largest = max(map(abs, values), default=1.0)
    powers = range(0, max(math.ceil(math.log10(max(largest, 1.0))), 0) + 1)
    step = max(math.ceil(len(powers) / _MOST_TICKS * 2), 1)
    above = [10.0**power for power in powers if power % step == 0]
    ticks = [*(-tick for tick in reversed(above)), 0.0, *above]
    return axis(
        title,
        tickvals=[signed_log(tick) for tick in ticks],
        ticktext=[number(tick) for tick in ticks],
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten, given as logarithms: 1, 2, 5, or fewer digits."""
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [
            digit * 10.0**power
            for power in range(math.floor(low), math.ceil(high) + 1)
            for digit in digits
            if low <= math.log10(digit) + power <= high
        ]
        if len(found) <= _MOST_TICKS:
            return found
    return found[:: math.ceil(len(found) / _MOST_TICKS)]
