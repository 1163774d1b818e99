"""Training spent and saved, and when each run trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import count, duration, number
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.analysis.spending import spending
from gantune.report.analysis.timeline import TimelineBar, last_moment, lay_out
from gantune.report.figures import style
from gantune.report.run_data import RunData

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


_ROW, _AROUND = 30, 100  # pixels, of the bars of spending
_LANE, _AROUND_LANES = 34, 120  # pixels, of the timeline
_FEWEST = 3  # lanes for which there is room
_UNITS = ((10_800.0, "hours", 3600.0), (300.0, "minutes", 60.0), (0.0, "seconds", 1.0))
"""Seconds from which on the axis counts in a unit, and the unit's seconds."""


def budget_figure(run: RunData) -> Figure:
    """A bar for each way to end: the training spent, and hatched the training saved."""
    found = spending(run.state)
    rows = [style.label(one.reason) for one in found]
    figure = style.new_figure(_ROW * max(len(found), 1) + _AROUND)
    spent = style.bars(
        [one.spent for one in found],
        rows,
        "%{y}: %{text}",
        name="spent",
        marker={"color": [MARKS[one.ending].colour for one in found]},
        text=[f"{count(one.runs, 'run')}, {number(float(one.spent))} kimg spent" for one in found],
        textposition="none",
    )
    hatched = {"shape": "/", "fgcolor": style.TEXT, "size": 6, "solidity": 0.15}
    saved = style.bars(
        [one.saved for one in found],
        rows,
        "%{y}: %{x:.4g} kimg saved",
        name="saved",
        marker={"color": style.FAINT, "pattern": hatched},
    )
    figure.add_traces([spent, saved])
    figure.update_layout(barmode="stack", bargap=0.35)
    figure.update_xaxes(style.axis("kimg of training", rangemode="tozero", tickformat=",.6~g"))
    figure.update_yaxes(style.category_axis(rows))
    return figure


def timeline(run: RunData) -> Figure:
    """A bar for each run, coloured by outcome; finals are hatched."""
    runs = lay_out((*run.state.trials, *run.state.finalists), last_moment(run.state))
    lanes = 1 + max((bar.lane for bar in runs), default=0)
    whole = max((bar.end for bar in runs), default=0.0)
    name, unit = next((name, unit) for least, name, unit in _UNITS if whole >= least)
    figure = style.new_figure(_LANE * max(lanes, _FEWEST) + _AROUND_LANES)
    for ending in MARKS:
        for is_final in (False, True):
            group = [
                bar
                for bar in runs
                if ending_of(bar.record) == ending and is_final == (bar.record.origin is not None)
            ]
            if group:
                figure.add_trace(_lane_bars(group, ending, unit, is_final))
    figure.update_layout(barmode="overlay", bargap=0.2)
    figure.update_xaxes(style.axis(f"{name} of the search", rangemode="tozero"))
    names = [f"{lane + 1}" for lane in range(lanes)]
    figure.update_yaxes(style.category_axis(names, "at once"))
    return figure


def _lane_bars(
    group: Sequence[TimelineBar], ending: str, unit: float, is_final: bool
) -> dict[str, Any]:
    mark, texts = MARKS[ending], []
    for bar in group:
        lines, outcome = [duration(bar.end - bar.start)], bar.record.outcome
        if outcome is not None:
            lines.append(f"{outcome.kimg:g} of {bar.record.budget_kimg:g} kimg")
        texts.append(style.explain(bar.record, lines))
    pattern = {"shape": "/", "size": 6, "solidity": 0.45, "fgcolor": mark.colour}
    return style.bars(
        [(bar.end - bar.start) / unit for bar in group],
        [f"{bar.lane + 1}" for bar in group],
        "%{hovertext}",
        base=[bar.start / unit for bar in group],
        name=f"{mark.words}{', finals' if is_final else ''}",
        marker={
            "color": mark.colour,
            "line": {"width": 0.5, "color": "rgba(128, 136, 145, 0.8)"},
            **({"pattern": pattern} if is_final else {}),
        },
        customdata=[bar.record.name for bar in group],
        hovertext=texts,
    )
