"""The page of several searches side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from shlex import quote

from gantune.io.files import explain_write_errors, write_text
from gantune.io.formatting import duration, format_ratio, number, share
from gantune.report.analysis.outcomes import is_judged, is_unstable
from gantune.report.analysis.spending import saved_by
from gantune.report.comparison import (
    best_of,
    check_same_terms,
    names_of,
    rank_runs,
    tie_sentences,
    tied_names,
)
from gantune.report.figures.comparison import best_figure, progress_figure
from gantune.report.page.answer import command, samples_of
from gantune.report.page.html import Html, Node, Section, figure_place, join, notes, tag
from gantune.report.page.page import document
from gantune.report.run_data import RunData
from gantune.scores.text import protocol_line, protocol_text
from gantune.space.space import space_differences
from gantune.tuner.descriptions import mean_text, score_name

_MOST_LINES = 40  # of what differs between two spaces


def write_comparison(runs: Sequence[RunData], path: Path) -> None:
    """Writes the page. Raises ``ScoreError`` of runs under two protocols, ``RunError`` where
    ``path`` cannot be written."""
    page = make_comparison(runs)
    with explain_write_errors(path):
        write_text(path, page)


def make_comparison(runs: Sequence[RunData]) -> str:
    """The page as HTML, whole. Raises ``ScoreError`` of runs under two protocols."""
    protocol = check_same_terms(runs)
    names = names_of(runs)
    terms = tag(
        "details", tag("summary", protocol_line(protocol)), tag("pre", protocol_text(protocol))
    )
    found = (_answer(runs, names), _samples(runs, names), _spaces(runs, names))
    header = join([tag("h1", " against ".join(names)), terms])
    title = f"{names[0]} and {len(names) - 1} more"
    return document(title, header, [section for section in found if section is not None])


def _answer(runs: Sequence[RunData], names: Sequence[str]) -> Section:
    ranked = rank_runs(runs)
    if not ranked:
        lead = "No run has a score yet: there is nothing to rank."
        return Section(
            "answer", "No answer yet", join([notes([lead], "lead"), _table(runs, names)])
        )
    place, best = ranked[0]
    state = runs[place].state
    lowest = f"{names[place]}, trial {best.origin}, {score_name(state)} {mean_text(best)}"
    lowest += "" if len(best.seeds) > 1 else ", of one seed"
    tied = tied_names(ranked, names)
    told = f"A tie: {names[place]}, {', '.join(tied)}. The lowest score: {lowest}."
    lead = told if tied else f"Best: {lowest}."
    figures = {"best": best_figure(runs, names), "progress": progress_figure(runs, names)}
    title = f"{score_name(state)} of each run's best, lower is better"
    panels = [
        figure_place("best", figures["best"], title),
        figure_place("progress", figures["progress"], "Best score so far over training spent"),
    ]
    parts = [
        notes([lead], "lead"),
        notes(tie_sentences(ranked, names)),
        _table(runs, names),
        command(f"gantune train {quote(str(runs[place].folder.best))}"),
        tag("div", *panels, class_="panels wide"),
    ]
    return Section("answer", "The answer", join(parts), figures)


def _table(runs: Sequence[RunData], names: Sequence[str]) -> Html:
    heads = (
        *("run", "best", "recall", "coverage", "seeds", "trials", "came apart"),
        *("kimg", "saved", "time"),
    )
    head = tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads)))
    rows = [
        tag("tr", *(tag("td", cell) for cell in _cells(run, name)))
        for run, name in zip(runs, names, strict=True)
    ]
    table = tag("table", head, tag("tbody", *rows), class_="small runs")
    return tag("div", table, class_="scroll")


def _cells(run: RunData, name: str) -> Iterator[Node]:
    state, best = run.state, best_of(run.state)
    ended = [record for record in state.trials if record.outcome is not None]
    judged = [record for record in ended if is_judged(record)]
    yield name
    yield tag("b", mean_text(best)) if best else "none"
    yield format_ratio(best.recall if best else None)
    yield format_ratio(best.coverage if best else None)
    yield str(len(best.seeds)) if best else "-"
    yield f"{len(ended)}{'' if state.is_over else ' so far'}"
    yield f"{sum(map(is_unstable, judged))} of {len(judged)}"
    spent = sum(r.outcome.kimg for r in (*ended, *state.finalists) if r.outcome)
    yield number(float(spent))
    yield share(saved_by(state).share)
    yield duration(state.seconds)


def _samples(runs: Sequence[RunData], names: Sequence[str]) -> Section | None:
    shown = [
        picture
        for run, name in zip(runs, names, strict=True)
        if (picture := samples_of(run, name)) is not None
    ]
    return Section("samples", "Samples", tag("div", *shown, class_="panels")) if shown else None


def _spaces(runs: Sequence[RunData], names: Sequence[str]) -> Section | None:
    """What the others' spaces have otherwise than the first one's."""
    first = runs[0].space
    parts: list[Node] = []
    for run, name in zip(runs[1:], names[1:], strict=True):
        if first is None or run.space is None:
            continue
        lines = space_differences(first, run.space)
        words = "\n".join(lines[:_MOST_LINES]) or "nothing that a score depends on"
        parts += [tag("h3", f"{names[0]} and {name}"), tag("pre", words)]
    return Section("spaces", "What differs between the spaces", join(parts)) if parts else None
