"""The stability map: trials over their learning rates, coloured by outcome."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
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
_PADDING = 0.1  # of the span, beyond the outermost trials: room for what is moved, and its marks
_FEWEST = 2  # points of a map
_JITTER = 0.016  # of the span, between equal points
_HALOS = {"norm": "square-open", "penalty": "circle-open"}
_HALO_SIZES = {"norm": 18, "penalty": 17}


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


def mapped_losses(run: RunData) -> list[str | None]:
    """The losses that have a map: those with two trials, as one dot is none. ``None``: all trials,
    where no loss is known."""
    found = Counter(run.hyperparameters[record.number].get(LOSS) for record in run.state.trials)
    if not losses_of(run):
        return [None] if found.total() >= _FEWEST else []
    return [loss for loss in losses_of(run) if found[loss] >= _FEWEST]


def stability_map(run: RunData, loss: str | None = None) -> Figure:
    """Trials as points, a panel for each loss, or for one ``loss`` only."""
    axes = map_axes(run)
    losses = [loss] if loss is not None else mapped_losses(run) or [None]
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


def extras(run: RunData, record: TrialRecord) -> Mapping[str, str]:
    """What a trial has beside its loss and rates: the norm of D, and its penalties."""
    values = run.hyperparameters[record.number]
    norm = values.get("discriminator.norm")
    found = {"norm": str(norm)} if norm not in (None, "none") else {}
    used = {
        name.split(".")[1]
        for name, value in values.items()
        if name.startswith("penalties.") and name.endswith((".weight", ".limit")) and value
    }
    return found | ({"penalty": ", ".join(sorted(used))} if used else {})


def shown_extras(run: RunData, loss: str | None) -> list[str]:
    """Of ``norm`` and ``penalty`` those that some trials on a map have and others have not."""
    records = _records(run, loss)
    return [kind for kind in _HALOS if 0 < _having(run, records, kind) < len(records)]


def common_extras(run: RunData, loss: str | None) -> list[str]:
    """Of ``norm`` and ``penalty`` those that all trials on a map have."""
    records = _records(run, loss)
    return [kind for kind in _HALOS if 0 < _having(run, records, kind) == len(records)]


def _having(run: RunData, records: Sequence[TrialRecord], kind: str) -> int:
    return sum(kind in extras(run, record) for record in records)


def _records(run: RunData, loss: str | None) -> list[TrialRecord]:
    """The trials on a map."""
    return [
        record
        for record in run.state.trials
        if loss is None or str(run.hyperparameters[record.number].get(LOSS)) == loss
    ]


def _draw(
    figure: Figure, run: RunData, axes: Sequence[str], loss: str | None, where: dict[str, int]
) -> None:
    records = _records(run, loss)
    known = {trace.name for trace in figure.data}
    places = _places(run, axes, records)
    for kind in shown_extras(run, loss):
        group = [record for record in records if kind in extras(run, record)]
        name = f"with a {kind}"
        trace = _halos(places, group, kind) | {"name": name, "showlegend": name not in known}
        figure.add_trace(trace, **where)
    for ending, mark in MARKS.items():
        group = [record for record in records if ending_of(record) == ending]
        if group:
            shows = mark.words not in known
            trace = _trace(run, axes, places, group, ending) | {"showlegend": shows}
            figure.add_trace(trace, **where)
    figure.update_xaxes(_axis(run, axes, 0), **where)
    figure.update_yaxes(_axis(run, axes, 1), **where)


_Place = tuple[float | None, float | None]


def _places(
    run: RunData, axes: Sequence[str], records: Sequence[TrialRecord]
) -> Mapping[int, _Place]:
    """Where each trial's point is; equal points are moved apart, around their place."""
    found: dict[int, _Place] = {}
    for record in records:
        values = [_number(run.hyperparameters[record.number].get(name)) for name in axes]
        x = values[0] if values else float(record.number)
        y = values[1] if len(values) > 1 else float(list(MARKS).index(ending_of(record)))
        found[record.number] = x, y
    alike: dict[_Place, list[int]] = {}
    for number_, place in found.items():
        alike.setdefault(place, []).append(number_)
    for (x, y), numbers in alike.items():
        if len(numbers) < 2 or x is None or y is None:
            continue
        for k, number_ in enumerate(numbers):
            turn = 2 * math.pi * k / len(numbers)
            found[number_] = (
                _moved(run, axes, 0, x, _JITTER * math.cos(turn)),
                _moved(run, axes, 1, y, 2 * _JITTER * math.sin(turn)),
            )
    return found


def _moved(run: RunData, axes: Sequence[str], place: int, value: float, by: float) -> float:
    """A value that is moved by a share of its axis."""
    if place >= len(axes):
        return value + (by * len(MARKS) if place else 0.0)
    values = _numbers(run, axes[place])
    if style.is_wide(values):
        return float(value * (max(values) / min(values)) ** by)
    return value + by * (max(values) - min(values))


def _halos(places: Mapping[int, _Place], group: Sequence[TrialRecord], kind: str) -> dict[str, Any]:
    """Marks around the points of trials with a norm or a penalty."""
    return {
        **style.points(
            [places[record.number][0] for record in group],
            [places[record.number][1] for record in group],
            "",
            legendgroup=kind,
            marker={
                "symbol": _HALOS[kind],
                "size": _HALO_SIZES[kind],
                "color": style.TEXT,
                "line": {"width": 1.1, "color": style.TEXT},
            },
        ),
        "hoverinfo": "skip",
        "hovertemplate": None,
    }


def _trace(
    run: RunData,
    axes: Sequence[str],
    places: Mapping[int, _Place],
    group: Sequence[TrialRecord],
    ending: str,
) -> dict[str, Any]:
    return style.points(
        [places[record.number][0] for record in group],
        [places[record.number][1] for record in group],
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
    lines += [f"{kind}: {what}" for kind, what in extras(run, record).items()]
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
        return style.value_axis(title_text, values, _PADDING)
    pad = _PADDING * (max(values) - min(values))
    return style.axis(title_text, range=[min(values) - pad, max(values) + pad])


def _numbers(run: RunData, name: str) -> list[float]:
    """The finite numbers that trials have for a setting."""
    found = (_number(config.get(name)) for config in run.hyperparameters.values())
    return [value for value in found if value is not None]


def _number(value: Any) -> float | None:
    """A finite number; ``None`` for anything else."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if is_number and math.isfinite(value) else None
