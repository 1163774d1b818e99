"""Which settings matter, and all trials over all settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import number, share
from gantune.report.analysis.outcomes import MARKS, ending_of, rank_trials
from gantune.report.figures import style
from gantune.report.run_data import RunData
from gantune.report.wording import short_names
from gantune.trial.records import TrialRecord
from gantune.tuner.descriptions import score_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


_ROW, _AROUND, _HEIGHT = 30, 110, 430  # pixels
_LETTER, _WIDEST = 6.5, 220  # pixels: of a letter of the ticks, and the most for all of them
_WIDE = 20  # ratio of largest to smallest value, from which on a scale is logarithmic
_MOST_TICKS = 6  # levels that all get a tick
_SCALE = [[0.0, "#2f9e5f"], [0.35, "#3b8eea"], [0.7, "#d9822b"], [1.0, "#d64545"]]


def importance_figure(run: RunData) -> Figure:
    """The share that each setting explains, with its interval; filled where significant."""
    found = run.importances
    figure = style.new_figure(_ROW * max(len(found), 1) + _AROUND)
    titles = short_names([one.name for one in found])
    rows = {one.name: style.label(titles[one.name]) for one in found}
    chance = style.bars(
        [one.chance for one in found],
        list(rows.values()),
        "%{y}: chance alone explains up to %{x:.0%} (95%)",
        name="what chance alone gives",
        marker={"color": style.FAINT},
        width=0.62,
    )
    figure.add_trace(chance)
    for is_supported, name, colour, symbol in (
        (True, "matters", style.ACCENT, "circle"),
        (False, "may be chance", style.TEXT, "circle-open"),
    ):
        group = [one for one in found if one.is_supported == is_supported]
        if not group:
            continue
        interval = {
            "type": "data",
            "symmetric": False,
            "array": [max(one.high - one.share, 0) for one in group],
            "arrayminus": [max(one.share - one.low, 0) for one in group],
        }
        trace = style.points(
            [one.share for one in group],
            [rows[one.name] for one in group],
            "%{y}: %{text}",
            error_x={**interval, "thickness": 1.6, "width": 5, "color": colour},
            marker={
                **{"size": 10, "symbol": symbol, "color": colour},
                "line": {"width": 1.6, "color": colour},
            },
            name=name,
            text=[
                f"{share(one.share)} ({share(one.low)} to {share(one.high)}), p {one.p:.2g}, "
                f"{one.trials} trials"
                for one in group
            ],
        )
        figure.add_trace(trace)
    figure.update_xaxes(style.axis("share explained", tickformat=".0%", range=[-0.02, 1.02]))
    figure.update_yaxes(style.category_axis(list(rows.values())))
    return figure


def parallel_coordinates(run: RunData) -> Figure:
    """A line for each trial, coloured by rank, the best green.

    Settings that only some trials have are left out.
    """
    ordered = rank_trials(run.state.trials)[::-1]  # the last ones are drawn on top
    figure = style.new_figure(_HEIGHT, legend=False)
    names = [
        name
        for name in dict.fromkeys(name for record in ordered for name in record.params)
        if all(name in record.params for record in ordered)
        and len({repr(record.params[name]) for record in ordered}) > 1
    ]
    titles = short_names(names)
    dimensions = [_dimension(titles[n], [r.params[n] for r in ordered]) for n in names]
    dimensions.append(_outcomes(ordered))
    # The full score, or else the last rung's; left out unless every trial has one.
    scores = [r.rungs[r.last_percent] if r.value is None and r.rungs else r.value for r in ordered]
    if scores and None not in scores:
        dimensions.append(_dimension(score_name(run.state).partition("[")[0], scores))
    ranks = list(range(len(ordered)))[::-1]
    figure.add_trace(
        {
            "type": "parcoords",
            "dimensions": dimensions,
            "line": {"color": ranks, "colorscale": _SCALE, "showscale": False},
            "labelfont": {"size": 13},
            "tickfont": {"size": 12},
            "rangefont": {"size": 1, "color": "rgba(0,0,0,0)"},
        }
    )
    words = max(map(len, dimensions[0].get("ticktext", ())), default=0)
    left = min(max(60, round(_LETTER * words) + 16), _WIDEST)  # the ticks stand left of the axis
    figure.update_layout(margin={"l": left, "r": 60, "t": 60, "b": 24})
    return figure


def _dimension(title: str, values: Sequence[Any]) -> dict[str, Any]:
    is_number = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
    levels = sorted(set(values)) if is_number else list(dict.fromkeys(map(str, values)))
    if not is_number or len(levels) <= _MOST_TICKS:
        places: Mapping[Any, int] = {level: place for place, level in enumerate(levels)}
        shown = [places[value if is_number else str(value)] for value in values]
        return _axis(title, shown, range(len(levels)), [number(level) for level in levels])
    low, high = min(values), max(values)
    if low > 0 and high / low >= _WIDE:
        between = range(math.floor(math.log10(low)) + 1, math.ceil(math.log10(high)))
        ticks = [low, *(10.0**power for power in between), high]
        logs = [math.log10(value) for value in values]
        return _axis(title, logs, [math.log10(t) for t in ticks], [number(t) for t in ticks])
    return {"label": style.label(title), "values": list(values)}


def _outcomes(ordered: Sequence[TrialRecord]) -> dict[str, Any]:
    present = [ending for ending in MARKS if any(ending_of(r) == ending for r in ordered)]
    values = [len(present) - 1 - present.index(ending_of(record)) for record in ordered]
    return _axis("outcome", values, range(len(present)), [MARKS[e].words for e in present[::-1]])


def _axis(
    title: str, values: Sequence[float], ticks: Sequence[float], words: Sequence[str]
) -> dict[str, Any]:
    return {
        "label": style.label(title),
        "values": list(values),
        "tickvals": list(ticks),
        "ticktext": [style.label(word) for word in words],
    }
