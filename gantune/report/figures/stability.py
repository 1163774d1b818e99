"""The stability map: trials over their learning rates, coloured by outcome."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import format_value, number
from gantune.report.analysis.hyperparameters import D_LR, G_LR, LOSS
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.figures import style
from gantune.report.run_data import RunData
from gantune.report.wording import short_names
from gantune.trial.records import TrialRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_HEIGHT = 330
_COLUMNS = 3
_PADDING = 0.06  # of the span, beyond the outermost trials


def losses_of(run: RunData) -> list[str]:
    """The losses that were tried, the most common first; empty where no loss is known."""
    found = Counter(str(values[LOSS]) for values in run.hyperparameters.values() if LOSS in values)
    return sorted(found, key=lambda loss: (-found[loss], loss))


def map_axes(run: RunData) -> list[str]:
    """The settings on the map's axes, at most two.

    These are the learning rates of G and D where they differ between trials, else other learning
    rates, else the first numbers that were searched.
    """
    configs = run.hyperparameters.values()
    rates = [path for config in configs for path in config if path.rpartition(".")[2] == "lr"]
    searched = [name for record in run.state.trials for name in record.params]
    names = dict.fromkeys([G_LR, D_LR, *rates, *searched])
    return [name for name in names if len(set(_numbers(run, name))) > 1][:2]


def stability_map(run: RunData, loss: str | None = None) -> Figure:
    """Trials as points, a panel for each loss, or for one ``loss`` only."""
    axes = map_axes(run)
    losses: list[str | None] = [loss] if loss is not None else [*losses_of(run)] or [None]
    if len(losses) == 1:
        figure = style.new_figure(_HEIGHT)
        _draw(figure, run, axes, losses[0], {})
        return figure
    from plotly.subplots import make_subplots

    rows = math.ceil(len(losses) / _COLUMNS)
    sheet = make_subplots(
        rows=rows,
        cols=min(_COLUMNS, len(losses)),
        subplot_titles=[style.label(name) for name in losses],
        horizontal_spacing=0.09,
        vertical_spacing=0.28 / rows,
    )
    sheet.update_layout(style.new_figure(_HEIGHT * rows).layout)
    sheet.update_layout(margin={"t": 60}, legend={"y": 1 + 0.14 / rows})
    for place, name in enumerate(losses):
        where = {"row": place // _COLUMNS + 1, "col": place % _COLUMNS + 1}
        _draw(sheet, run, axes, name, where)
    return sheet


def _draw(
    figure: Figure, run: RunData, axes: Sequence[str], loss: str | None, where: dict[str, int]
) -> None:
    records = [
        record
        for record in run.state.trials
        if loss is None or str(run.hyperparameters[record.number].get(LOSS)) == loss
    ]
    known = {trace.name for trace in figure.data}
    for ending, mark in MARKS.items():
        group = [record for record in records if ending_of(record) == ending]
        if group:
            shows = mark.words not in known
            figure.add_trace(_trace(run, axes, group, ending) | {"showlegend": shows}, **where)
    figure.update_xaxes(_axis(run, axes, 0), **where)
    figure.update_yaxes(_axis(run, axes, 1), **where)


def _trace(
    run: RunData, axes: Sequence[str], group: Sequence[TrialRecord], ending: str
) -> dict[str, Any]:
    places = [[run.hyperparameters[r.number].get(name) for name in axes] for r in group]
    order = list(MARKS).index(ending)
    return style.points(
        [place[0] if place else r.number for place, r in zip(places, group, strict=True)],
        [place[1] if len(place) > 1 else order for place in places],
        "%{text}",
        name=MARKS[ending].words,
        legendgroup=ending,
        marker=style.marker(ending, 10),
        customdata=[record.name for record in group],
        text=[style.explain(record, _lines(run, record, axes)) for record in group],
    )


def _lines(run: RunData, record: TrialRecord, axes: Sequence[str]) -> list[str]:
    titles = short_names(axes)
    values = run.hyperparameters[record.number]
    lines = [", ".join(f"{titles[name]} {number(values.get(name))}" for name in axes)]
    return [*lines, f"score {format_value(record.value)}"] if record.value is not None else lines


def _axis(run: RunData, axes: Sequence[str], place: int) -> dict[str, Any]:
    """The same range in all panels. Without a setting it is the trials' numbers or outcomes."""
    if place >= len(axes):
        return (
            style.axis("", showticklabels=False, showgrid=False) if place else style.axis("trial")
        )
    title_text = style.label(short_names(axes)[axes[place]])
    values = _numbers(run, axes[place])
    if style.is_wide(values):
        return style.value_axis(title_text, values)
    pad = _PADDING * (max(values) - min(values))
    return style.axis(title_text, range=[min(values) - pad, max(values) + pad])


def _numbers(run: RunData, name: str) -> list[float]:
    """The finite numbers that trials have for a setting."""
    return [
        value
        for config in run.hyperparameters.values()
        if isinstance(value := config.get(name), int | float)
        and not isinstance(value, bool)
        and math.isfinite(value)
    ]
