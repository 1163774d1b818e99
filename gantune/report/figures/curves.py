"""Learning curves and loss curves of all trials, one colour per outcome, every stop marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import format_value, number
from gantune.report.analysis.hyperparameters import LOSS
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.figures import style
from gantune.report.run_data import RunData
from gantune.report.wording import title
from gantune.trial.records import TrialRecord
from gantune.tuner.descriptions import score_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_NAMES = {"d_loss": "D loss", "g_loss": "G loss"}
_HEIGHT = 360
_MANY = 60  # lines of one outcome, from which on they are fainter
_HIGHEST = 20.0  # of a loss on a linear axis; beyond it the axis is a signed logarithm

_Line = Sequence[tuple[float, float | None]]
"""(kimg, value)."""


def name_of(signal: str) -> str:
    """A signal's title."""
    return _NAMES.get(signal, signal)


def all_signals(run: RunData) -> list[str]:
    """The signals that trials recorded, losses first."""
    found = dict.fromkeys(name for curves in run.curves.values() for name in curves.signals)
    return sorted(found, key=lambda name: name not in _NAMES)


def learning_curves(run: RunData) -> Figure:
    """Rung scores over kimg of all trials, by outcome."""
    lines = {name: curves.scores for name, curves in run.curves.items() if curves.scores}
    values = [value for line in lines.values() for _, value in line]
    figure = style.new_figure(_HEIGHT)
    for ending in MARKS:
        group = [r for r in run.state.trials if ending_of(r) == ending and r.name in lines]
        if group:
            figure.add_trace(_lines(run, group, lines, ending) | {"mode": "lines+markers"})
    if (best := run.state.best) is not None and best.name in lines:
        figure.add_trace(_winner(run, best, lines) | {"mode": "lines+markers"})
    figure.update_xaxes(style.axis("kimg", rangemode="tozero"))
    figure.update_yaxes(style.value_axis(style.label(score_name(run.state)), values))
    return figure


def loss_curves(run: RunData, signal: str) -> Figure:
    """One signal over kimg; a marker shows where a trial was stopped."""
    figure = style.new_figure(_HEIGHT)
    curves = {r.name: run.curves[r.name] for r in run.state.trials if r.name in run.curves}
    lines = {
        name: list(zip(curve.kimg, curve.signals[signal], strict=True))
        for name, curve in curves.items()
        if signal in curve.signals
    }
    values = [value for line in lines.values() for _, value in line if value is not None]
    is_log = bool(values) and max(map(abs, values)) > _HIGHEST
    traces: list[dict[str, Any]] = []
    for ending in MARKS:
        group = [r for r in run.state.trials if ending_of(r) == ending and r.name in lines]
        if not group:
            continue
        traces.append(_lines(run, group, lines, ending))
        if ending not in ("completed", "running"):
            traces.append(_stops(group, lines, ending))
    if (best := run.state.best) is not None and best.name in lines:
        traces.append(_winner(run, best, lines))
    for trace in traces:
        if is_log:
            trace["y"] = [style.signed_log(value) for value in trace["y"]]
        figure.add_trace(trace)
    figure.update_xaxes(style.axis("kimg", rangemode="tozero"))
    name = style.label(name_of(signal))
    figure.update_yaxes(style.signed_log_axis(name, values) if is_log else style.axis(name))
    return figure


def _lines(
    run: RunData, group: Sequence[TrialRecord], lines: Mapping[str, _Line], ending: str
) -> dict[str, Any]:
    """All lines of one outcome as one trace with gaps, as hundreds of traces draw slowly."""
    gap = (None, None, None, None)
    rows: list[tuple[float | None, float | None, str | None, str | None]] = []
    for record in group:
        name = _name(run, record)
        line = lines[record.name]
        rows += [(x, y, record.name, f"{name}: {format_value(y)}") for x, y in line]
        rows.append(gap)
    x, y, names, texts = (list(column) for column in zip(*rows, strict=True))
    return style.points(
        x,
        y,
        "%{text} at %{x:.4g} kimg",
        mode="lines",
        name=MARKS[ending].words,
        legendgroup=ending,
        customdata=names,
        text=texts,
        line={"color": MARKS[ending].colour, "width": 1.2},
        marker=style.marker(ending, 5),
        opacity=0.75 if len(group) < _MANY else 0.4,
        connectgaps=False,
    )


def _winner(run: RunData, best: TrialRecord, lines: Mapping[str, _Line]) -> dict[str, Any]:
    """The line of the best trial, on top of all others, in a colour that no outcome has."""
    trace = _lines(run, [best], lines, ending_of(best))
    what = "the winner" if run.state.winner is not None else "the best"
    return trace | {
        "name": f"trial {best.number}, {what}",
        "legendgroup": "winner",
        "line": {"color": style.WINNER, "width": 2.8},
        "marker": {"color": style.WINNER, "size": 6},
        "opacity": 1,
    }


def _name(run: RunData, record: TrialRecord) -> str:
    """A trial with its loss: ``<b>trial 7</b>, hinge``."""
    loss = run.hyperparameters[record.number].get(LOSS)
    start = " (start)" if record.is_start else ""
    words = f", {style.label(loss)}" if isinstance(loss, str) else ""
    return f"<b>{title(record)}</b>{start}{words}"


def _stops(group: Sequence[TrialRecord], lines: Mapping[str, _Line], ending: str) -> dict[str, Any]:
    ends = [(r, [p for p in lines[r.name] if p[1] is not None]) for r in group]
    found = [(record, line[-1]) for record, line in ends if line]
    return style.points(
        [at for _, (at, _) in found],
        [value for _, (_, value) in found],
        "%{text}",
        name=MARKS[ending].words,
        legendgroup=ending,
        showlegend=False,
        customdata=[record.name for record, _ in found],
        text=[style.explain(record, _where(record)) for record, _ in found],
        marker=style.marker(ending, 9),
    )


def _where(record: TrialRecord) -> list[str]:
    outcome = record.outcome
    if outcome is None:
        return []
    lines = [f"at {number(float(outcome.kimg))} of {number(record.budget_kimg)} kimg"]
    if outcome.ending in ("paused", "pruned") and record.rungs:
        last = record.last_percent
        score = format_value(record.rungs[last])
        what = "goes on if it is among the best" if record.is_paused else "worse than most"
        standing = outcome.standing
        text = f"score {score} at its {last}% rung, {what}" if standing is None else str(standing)
        lines.append(text)
    return lines
