"""The timeline: when each run trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import duration
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.analysis.timeline import Span, lay_out
from gantune.report.figures.style import axis, explain, new_figure

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from gantune.report.run import Run

__all__ = ["timeline"]

_ROW = 34  # pixels of a lane
_AROUND = 120
_FEWEST = 3  # lanes for which there is room
_MINUTES, _HOURS = 300.0, 3 * 3600.0  # seconds from which on the axis counts in these


def timeline(run: Run) -> Figure:
    """A bar a run, coloured by its outcome; finals are hatched."""
    spans = lay_out((*run.state.trials, *run.state.finalists))
    lanes = 1 + max((span.lane for span in spans), default=0)
    whole = max((span.end for span in spans), default=0.0)
    unit, name = _unit(whole)
    figure = new_figure(_ROW * max(lanes, _FEWEST) + _AROUND)
    for ending in MARKS:
        for is_final in (False, True):
            group = [
                span
                for span in spans
                if ending_of(span.record) == ending and is_final == (span.record.origin is not None)
            ]
            if group:
                figure.add_trace(_bars(group, ending, unit, is_final))
    figure.update_layout(barmode="overlay", bargap=0.2)
    figure.update_xaxes(axis(name, rangemode="tozero"))
    names = [f"{lane + 1}" for lane in range(lanes)]
    figure.update_yaxes(
        axis("at once", categoryorder="array", categoryarray=names[::-1], type="category"),
        showgrid=False,
    )
    return figure


def _bars(group: Sequence[Span], ending: str, unit: float, is_final: bool) -> dict[str, Any]:
    mark = MARKS[ending]
    pattern = {"shape": "/", "size": 6, "solidity": 0.45, "fgcolor": mark.colour}
    return {
        "type": "bar",
        "orientation": "h",
        "base": [span.begin / unit for span in group],
        "x": [(span.end - span.begin) / unit for span in group],
        "y": [f"{span.lane + 1}" for span in group],
        "name": f"{mark.words}{', finals' if is_final else ''}",
        "marker": {
            "color": mark.colour,
            "line": {"width": 0.5, "color": "rgba(128, 136, 145, 0.8)"},
            **({"pattern": pattern} if is_final else {}),
        },
        "customdata": [span.record.name for span in group],
        "hovertext": [
            explain(span.record, [duration(span.end - span.begin), *_where(span)]) for span in group
        ],
        "hovertemplate": "%{hovertext}<extra></extra>",
    }


def _where(span: Span) -> list[str]:
    outcome = span.record.outcome
    return [] if outcome is None else [f"{outcome.kimg:g} of {span.record.budget_kimg:g} kimg"]


def _unit(seconds: float) -> tuple[float, str]:
    if seconds < _MINUTES:
        return 1.0, "seconds of the search"
    return (60.0, "minutes of the search") if seconds < _HOURS else (3600.0, "hours of the search")
