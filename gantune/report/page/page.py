"""The page of one search: sections one after the other, figures and details packed behind them."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from gantune.io.files import explain_write_errors, write_text
from gantune.io.formatting import count, duration
from gantune.report.analysis.outcomes import MARKS
from gantune.report.page.answer import answer, ranking, shown_run
from gantune.report.page.html import (
    Html,
    Node,
    Section,
    as_json,
    asset,
    join,
    packed,
    plotly_script,
    tag,
)
from gantune.report.page.parts import budget, gallery, learning, settings, stability
from gantune.report.page.pictures import thumbnails
from gantune.report.page.trials import details, trials_table
from gantune.report.run_data import RunData
from gantune.report.wording import ENDINGS

_RELOAD = 60  # seconds, of a search that is running


def write_page(run: RunData, path: Path) -> None:
    """Writes the page whole or not at all. Raises ``RunError`` where ``path`` cannot be written."""
    page = make_page(run)
    with explain_write_errors(path):
        write_text(path, page)


def make_page(run: RunData) -> str:
    """The page as HTML; it needs no other file and no network."""
    pictures = thumbnails(run, _best(run))
    found = (
        answer(run),
        ranking(run),
        gallery(run, pictures),
        stability(run),
        learning(run),
        settings(run),
        budget(run),
        trials_table(run),
    )
    sections = [section for section in found if section is not None]
    is_running = run.folder.is_running
    scripts = join(
        [
            tag("script", as_json(pictures), type="application/json", id="pictures"),
            tag("script", packed(as_json(details(run))), type="text/plain", id="details"),
        ]
    )
    header = join([tag("h1", run.state.study), tag("p", _heading(run), class_="meta")])
    return document(run.state.study, header, sections, scripts, _RELOAD if is_running else None)


def document(
    title: str,
    header: Html,
    sections: Iterable[Section],
    scripts: Html | None = None,
    reload: int | None = None,
) -> str:
    """A whole document; ``reload``: seconds after which it looks whether there is a newer one."""
    sections = list(sections)
    figures = {name: made for section in sections for name, made in section.figures.items()}
    drawn = ",".join(f"{as_json(name)}:{made.to_json()}" for name, made in figures.items())
    links = [tag("a", section.title, href=f"#{section.name}") for section in sections]
    head: list[Node] = [
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", f"{title} - gantune"),
        tag("style", Html(asset("page.css")), Html(_colours())),
    ]
    body: list[Node] = [
        tag("header", header),
        tag("nav", tag("div", *links)),
        tag("main", *(section.to_html() for section in sections)),
        tag("dialog", id="run", aria_labelledby="run-title"),
        tag("noscript", "The figures and the details of each trial need JavaScript."),
        scripts,
        tag("script", packed(f"{{{drawn}}}"), type="text/plain", id="figures"),
        tag("script", plotly_script(), type="text/plain", id="plotly"),
        tag("script", Html(asset("page.js"))),
    ]
    page = tag(
        "html",
        tag("head", *head),
        tag("body", *body, data_reload=None if reload is None else str(reload)),
        lang="en",
    )
    return f"<!DOCTYPE html>\n{page}\n"


def _best(run: RunData) -> list[str]:
    """Runs whose pictures are all kept: the one shown as the answer, and the survivors in order."""
    shown = shown_run(run)
    names = [record.name for record in run.state.survivors]
    return [shown.name, *names] if shown is not None else names


def _heading(run: RunData) -> Html:
    """How far the search is, in one line."""
    state = run.state
    is_running = state.folder.is_running
    stand = "ended" if state.is_over else "running" if is_running else "stopped"
    ended = state.outcome_counts.total()
    planned = "" if state.planned_trials in (None, ended) else f" of {state.planned_trials}"
    parts: list[Node] = [tag("span", stand, class_=f"state {stand}")]
    endings = state.outcome_counts
    by = ", ".join(f"{endings[e]} {words}" for e, words in ENDINGS.items() if endings[e])
    unit = "trial" if ended == 1 and not planned else "trials"
    parts.append(f"{ended}{planned} {unit}{f' ({by})' if by else ''}")
    finals = sum(record.outcome is not None for record in state.finalists)
    if state.finalists:
        whole = max(state.planned_finalists, len(state.finalists))
        of = "" if finals == whole else f" of {whole}"
        parts.append(f"{finals}{of} finals" if finals != 1 or of else "1 final")
    parts.append(f"{duration(state.seconds)}{'' if state.is_over else ' so far'}")
    if is_running:
        parts.append(count(len(state.running), "run in training", "runs in training"))
    written = time.strftime("%Y-%m-%d %H:%M")
    parts.append(f"written {written}")
    return join(tag("span", part) if isinstance(part, str) else part for part in parts)


def _colours() -> str:
    """The outcomes' colours for badges, chips and tiles."""
    return "".join(
        f'.{ending}{{--mark:{mark.colour};--sign:"{mark.sign}"}}' for ending, mark in MARKS.items()
    )
