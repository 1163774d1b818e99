"""Several searches under one protocol: what each found for how much training, and their page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from gantune.errors import ScoreError
from gantune.io.files import explain_write_errors, write_text
from gantune.io.formatting import duration, format_ratio, number, share
from gantune.report.analysis.outcomes import is_judged, is_unstable
from gantune.report.analysis.spending import saved_by
from gantune.report.figures.style import axis, category_axis, label, new_figure, points, value_axis
from gantune.report.findings import Finding, about_comparison
from gantune.report.page.answer import sample_picture
from gantune.report.page.html import Drawing, Section, section
from gantune.report.page.page import render_document
from gantune.report.run_data import RunData
from gantune.report.tables import NONE, Cell, Column, Row, Table
from gantune.run_folder.run import read_protocol
from gantune.scores.score import Protocol, differing_text
from gantune.scores.text import protocol_line, protocol_text
from gantune.space.space import space_differences
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finals.finalists import FinalistResult
from gantune.tuner.finals.significance import compare_with_best
from gantune.tuner.state import RunState

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_MOST_LINES = 40  # of the differences between two spaces
_COLOURS = ("#3b8eea", "#d9822b", "#2f9e5f", "#9a6dd7", "#c2569c", "#12a3a8", "#d64545", "#8a8f98")
_ROW_HEIGHT, _AROUND, _HEIGHT = 40, 110, 340  # pixels

RankedRun = tuple[int, FinalistResult]
"""Index of a run, and its best result."""


def write_comparison(runs: Sequence[RunData], path: Path) -> None:
    """Writes the page. Raises ``ScoreError`` for runs under two protocols, ``RunError`` where
    ``path`` cannot be written."""
    page = make_comparison(runs)
    with explain_write_errors(path):
        write_text(path, page)


def make_comparison(runs: Sequence[RunData]) -> str:
    """The complete page as HTML. Raises ``ScoreError`` for runs under two protocols."""
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
    ranked = rank_runs(runs)
    title, lead = "No answer yet", "No run has a score yet: there is nothing to rank."
    command, drawings = None, []
    if ranked:
        index, best = ranked[0]
        state, tied = runs[index].state, tied_names(ranked, names)
        lowest = f"{names[index]}, trial {best.origin}, {score_name(state)} {mean_text(best)}"
        lowest += "" if len(best.seeds) > 1 else ", of one seed"
        title, lead = "The answer", f"Best: {lowest}."
        if tied:
            lead = f"A tie: {names[index]}, {', '.join(tied)}. The lowest score: {lowest}."
        command = f"gantune train {quote(str(runs[index].folder.best))}"
        each = f"{score_name(state)} of each run's best, lower is better"
        over = "Best score so far over training spent"
        drawings = [
            Drawing("best", best_figure(runs, names), each),
            Drawing("progress", progress_figure(runs, names), over),
        ]
    numbers = ("best", "recall", "coverage", "seeds", "trials", "unstable", "kimg", "saved", "time")
    columns = (Column("run", "run", "left"), *(Column(name, name) for name in numbers))
    rows = [Row(tuple(map(Cell, _cells(*pair)))) for pair in zip(runs, names, strict=True)]
    return section(
        "answer",
        title,
        drawings,
        template="comparison_answer.html",
        lead=lead,
        findings=compare_runs(ranked, names),
        table=Table("Runs", columns, tuple(rows)),
        command=command,
    )


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
    first, found = runs[0].space, []
    for run, name in zip(runs[1:], names[1:], strict=True):
        if first is not None and run.space is not None:
            lines = space_differences(first, run.space)
            text = "\n".join(lines[:_MOST_LINES]) or "nothing that a score depends on"
            found.append((f"{names[0]} and {name}", text))
    if not found:
        return None
    title, template = "Differences between the spaces", "comparison_spaces.html"
    return section("spaces", title, template=template, differences=found)


def best_figure(runs: Sequence[RunData], names: Sequence[str]) -> Figure:
    """Each run's best: mean, standard deviation and seeds."""
    figure = new_figure(_ROW_HEIGHT * len(runs) + _AROUND, legend=False)
    values: list[float] = []
    for index, (run, name) in enumerate(zip(runs, names, strict=True)):
        best = best_of(run.state)
        if best is None:
            continue
        values += best.values
        colour, row = _COLOURS[index % len(_COLOURS)], label(name)
        mark = {"size": 12, "line": {"width": 1.6}, "color": colour}
        seeds = points(
            list(best.values),
            [row] * len(best.values),
            "%{y}: %{x:.4g}, one seed",
            marker={**mark, "symbol": "line-ns-open"},
        )
        spread = {"type": "data", "array": [best.deviation or 0], "thickness": 2, "width": 6}
        mean = points(
            [best.mean],
            [row],
            "%{y}: %{text}",
            marker={**mark, "symbol": "diamond"},
            error_x={**spread, "color": colour},
            text=[mean_text(best)],
        )
        figure.add_traces([seeds, mean])
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
        trace = points(
            [kimg for kimg, _, _ in steps],
            [value for _, value, _ in steps],
            "%{text}: %{y:.4g} after %{x:.4g} kimg of trials",
            mode="lines+markers",
            name=label(name),
            line={"shape": "hv", "width": 2, "color": _COLOURS[index % len(_COLOURS)]},
            marker={"size": 5},
            text=[f"trial {trial}" for _, _, trial in steps],
        )
        figure.add_trace(trace)
    figure.update_xaxes(axis("kimg of all trials", rangemode="tozero"))
    figure.update_yaxes(value_axis(label(score_name(runs[0].state)), values))
    return figure


def check_same_protocol(runs: Sequence[RunData]) -> Protocol:
    """The protocol of all runs. Raises ``ScoreError`` with the differences where they have two."""
    protocols = []
    for run in runs:
        score = next((r.score for r in run.state.trials if r.score is not None), None)
        protocols.append(score.protocol if score is not None else read_protocol(run.folder))
    for run, other in zip(runs[1:], protocols[1:], strict=True):
        if other != protocols[0]:
            raise ScoreError(
                f"{runs[0].folder.path} and {run.folder.path} were scored under two protocols, "
                f"{protocols[0].hash} and {other.hash}, which cannot be compared; they differ in\n"
                f"{differing_text(protocols[0], other)}\n"
                "score the winners' checkpoints again under one with `gantune evaluate`"
            )
    return protocols[0]


def run_names(runs: Sequence[RunData]) -> list[str]:
    """The name of each run's folder; its full path where two have the same name."""
    names = [run.folder.path.resolve().name for run in runs]
    paths = [str(run.folder.path) for run in runs]
    return [p if names.count(n) > 1 else n for n, p in zip(names, paths, strict=True)]


def best_of(state: RunState) -> FinalistResult | None:
    """The winner of the finals, or else the best survivor, with one seed."""
    if state.winner is not None:
        return state.winner
    best = state.best
    if best is None or best.score is None:
        return None
    return FinalistResult(best.number, best.is_start, (0,), (best.score,), ())


def rank_runs(runs: Sequence[RunData]) -> list[RankedRun]:
    """The runs that have a score, the best first; those whose finals have warnings come last."""
    found = [(index, best) for index, run in enumerate(runs) if (best := best_of(run.state))]
    return sorted(found, key=lambda entry: (bool(entry[1].warnings), entry[1].mean))


def compare_runs(ranked: Sequence[RankedRun], names: Sequence[str]) -> list[Finding]:
    """How each run compares with the best one."""
    found = compare_with_best(_indexed(ranked))
    return [about_comparison(one, names[ranked[0][0]], names[one.origin]) for one in found]


def tied_names(ranked: Sequence[RankedRun], names: Sequence[str]) -> list[str]:
    """The runs whose difference from the best one is not significant."""
    return [names[one.origin] for one in compare_with_best(_indexed(ranked)) if one.is_tie]


def progress_of(state: RunState) -> list[tuple[float, float, int]]:
    """How the best score improved: (kimg of all trials so far, best score, its trial's number).

    One entry for each trial that improved it, and one for the end of the search.
    """
    ended = [record for record in state.trials if record.outcome is not None]
    ended.sort(key=lambda record: (record.ended or 0.0, record.number))
    spent = accumulate(record.outcome.kimg for record in ended if record.outcome)
    steps: list[tuple[float, float, int]] = []
    total = 0.0
    for record, total in zip(ended, spent, strict=True):
        if record.value is not None and (not steps or record.value < steps[-1][1]):
            steps.append((total, record.value, record.number))
    return [*steps, (total, *steps[-1][1:])] if steps else []


def _indexed(ranked: Sequence[RankedRun]) -> list[FinalistResult]:
    """The results with the runs' indices for the trials' numbers."""
    return [replace(best, origin=index) for index, best in ranked]
