"""The page of several searches side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

from gantune.io.files import explain_write_errors, write_text
from gantune.io.formatting import duration, format_ratio, number, share
from gantune.report.analysis.outcomes import is_judged, is_unstable
from gantune.report.analysis.spending import saved_by
from gantune.report.comparison import (
    best_of,
    check_same_protocol,
    compare_runs,
    progress_of,
    rank_runs,
    run_names,
    tied_names,
)
from gantune.report.figures.style import axis, category_axis, label, new_figure, value_axis
from gantune.report.page.answer import sample_picture
from gantune.report.page.html import Drawing, Section, section
from gantune.report.page.page import render_document
from gantune.report.run_data import RunData
from gantune.report.tables import NONE, Cell, Column, Row, Table
from gantune.scores.text import protocol_line, protocol_text
from gantune.space.space import space_differences
from gantune.tuner.descriptions import mean_text, score_name

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST_LINES = 40  # of the differences between two spaces
_COLOURS = ("#3b8eea", "#d9822b", "#2f9e5f", "#9a6dd7", "#c2569c", "#12a3a8", "#d64545", "#8a8f98")
_ROW_HEIGHT, _AROUND, _HEIGHT = 40, 110, 340  # pixels


def write_comparison(runs: Sequence[RunData], path: Path) -> None:
    """Writes the page. Raises ``ScoreError`` for runs under two protocols, ``RunError`` where
    ``path`` cannot be written."""
    page = make_comparison(runs)
    with explain_write_errors(path):
        write_text(path, page)


def make_comparison(runs: Sequence[RunData]) -> str:
    """The page as HTML, whole. Raises ``ScoreError`` for runs under two protocols."""
    protocol = check_same_protocol(runs)
    names = run_names(runs)
    found = (_answer(runs, names), _samples(runs, names), _spaces(runs, names))
    return render_document(
        "comparison.html",
        f"{names[0]} and {len(names) - 1} more",
        [section for section in found if section is not None],
        names=names,
        protocol=(protocol_line(protocol), protocol_text(protocol)),
    )


def _answer(runs: Sequence[RunData], names: Sequence[str]) -> Section:
    ranked, table = rank_runs(runs), _table(runs, names)
    if not ranked:
        lead = "No run has a score yet: there is nothing to rank."
        return section(
            "answer",
            "No answer yet",
            template="comparison_answer.html",
            lead=lead,
            findings=[],
            table=table,
            command=None,
        )
    index, best = ranked[0]
    state = runs[index].state
    lowest = f"{names[index]}, trial {best.origin}, {score_name(state)} {mean_text(best)}"
    lowest += "" if len(best.seeds) > 1 else ", of one seed"
    tied = tied_names(ranked, names)
    tie = f"A tie: {names[index]}, {', '.join(tied)}. The lowest score: {lowest}."
    title = f"{score_name(state)} of each run's best, lower is better"
    drawings = [
        Drawing("best", best_figure(runs, names), title),
        Drawing("progress", progress_figure(runs, names), "Best score so far over training spent"),
    ]
    return section(
        "answer",
        "The answer",
        drawings,
        template="comparison_answer.html",
        lead=tie if tied else f"Best: {lowest}.",
        findings=compare_runs(ranked, names),
        table=table,
        command=f"gantune train {quote(str(runs[index].folder.best))}",
    )


def _table(runs: Sequence[RunData], names: Sequence[str]) -> Table:
    numbers = ("best", "recall", "coverage", "seeds", "trials", "unstable", "kimg", "saved", "time")
    columns = (Column("run", "run", "left"), *(Column(name, name) for name in numbers))
    rows = [Row(tuple(map(Cell, _cells(*pair)))) for pair in zip(runs, names, strict=True)]
    return Table("Runs", columns, tuple(rows))


def _cells(run: RunData, name: str) -> Iterator[str]:
    state, best = run.state, best_of(run.state)
    ended = [record for record in state.trials if record.outcome is not None]
    judged = [record for record in ended if is_judged(record)]
    yield name
    yield mean_text(best) if best else "none"
    yield format_ratio(best.recall if best else None)
    yield format_ratio(best.coverage if best else None)
    yield str(len(best.seeds)) if best else NONE
    yield f"{len(ended)}{'' if state.is_over else ' so far'}"
    yield f"{sum(map(is_unstable, judged))} of {len(judged)}"
    spent = sum(r.outcome.kimg for r in (*ended, *state.finalists) if r.outcome)
    yield number(float(spent))
    yield share(saved_by(state).share)
    yield duration(state.seconds)


def _samples(runs: Sequence[RunData], names: Sequence[str]) -> Section | None:
    found = (sample_picture(run, name) for run, name in zip(runs, names, strict=True))
    pictures = [picture for picture in found if picture is not None]
    if not pictures:
        return None
    return section("samples", "Samples", template="comparison_samples.html", pictures=pictures)


def _spaces(runs: Sequence[RunData], names: Sequence[str]) -> Section | None:
    """How the other spaces differ from the first one."""
    first = runs[0].space
    differences = []
    for run, name in zip(runs[1:], names[1:], strict=True):
        if first is not None and run.space is not None:
            lines = space_differences(first, run.space)
            text = "\n".join(lines[:_MOST_LINES]) or "nothing that a score depends on"
            differences.append((f"{names[0]} and {name}", text))
    if not differences:
        return None
    return section(
        "spaces",
        "Differences between the spaces",
        template="comparison_spaces.html",
        differences=differences,
    )


def best_figure(runs: Sequence[RunData], names: Sequence[str]) -> Figure:
    """Each run's best: mean, standard deviation and seeds."""
    figure = new_figure(_ROW_HEIGHT * len(runs) + _AROUND, legend=False)
    values: list[float] = []
    for index, (run, name) in enumerate(zip(runs, names, strict=True)):
        best = best_of(run.state)
        if best is None:
            continue
        values += best.values
        colour = _COLOURS[index % len(_COLOURS)]
        figure.add_trace(_points(best.values, name, {"symbol": "line-ns-open", "color": colour}))
        spread = {"type": "data", "array": [best.deviation or 0], "thickness": 2, "width": 6}
        figure.add_trace(
            _points([best.mean], name, {"symbol": "diamond", "color": colour})
            | {"error_x": {**spread, "color": colour}, "text": [mean_text(best)]}
            | {"hovertemplate": "%{y}: %{text}<extra></extra>"}
        )
    figure.update_xaxes(value_axis(label(score_name(runs[0].state)), values))
    figure.update_yaxes(category_axis([label(name) for name in names]))
    return figure


def progress_figure(runs: Sequence[RunData], names: Sequence[str]) -> Figure:
    """The best score so far over the training spent, a step at each better trial."""
    figure = new_figure(_HEIGHT)
    values = []
    for index, (run, name) in enumerate(zip(runs, names, strict=True)):
        steps = progress_of(run.state)
        values += [value for _, value, _ in steps]
        figure.add_trace(
            {
                "type": "scatter",
                "mode": "lines+markers",
                "x": [kimg for kimg, _, _ in steps],
                "y": [value for _, value, _ in steps],
                "name": label(name),
                "line": {"shape": "hv", "width": 2, "color": _COLOURS[index % len(_COLOURS)]},
                "marker": {"size": 5},
                "text": [f"trial {trial}" for _, _, trial in steps],
                "hovertemplate": "%{text}: %{y:.4g} after %{x:.4g} kimg of trials<extra></extra>",
            }
        )
    figure.update_xaxes(axis("kimg of all trials", rangemode="tozero"))
    figure.update_yaxes(value_axis(label(score_name(runs[0].state)), values))
    return figure


def _points(values: Sequence[float], name: str, mark: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "scatter",
        "mode": "markers",
        "x": list(values),
        "y": [label(name)] * len(values),
        "marker": {"size": 12, "line": {"width": 1.6}, **mark},
        "hovertemplate": "%{y}: %{x:.4g}, one seed<extra></extra>",
    }
