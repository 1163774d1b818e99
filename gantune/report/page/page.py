"""The page of one search: its sections, and the figures and details packed behind them."""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from gantune.io.files import explain_write_errors, write_text
from gantune.io.formatting import count, duration
from gantune.report.analysis.outcomes import ENDINGS, MARKS
from gantune.report.page import html
from gantune.report.page.answer import answer, ranking, shown_run
from gantune.report.page.pictures import thumbnails
from gantune.report.page.sections import (
    budget,
    gallery,
    learning,
    next_search,
    settings,
    stability,
)
from gantune.report.page.trials import details, trials_table
from gantune.report.run_data import RunData

_RELOAD_SECONDS = 60  # of the page of a running search


def write_page(run: RunData, path: Path) -> None:
    """Writes the page atomically. Raises ``RunError`` where ``path`` cannot be written."""
    page = make_page(run)
    with explain_write_errors(path):
        write_text(path, page)


def make_page(run: RunData) -> str:
    """The page as HTML; it needs no other file and no network."""
    shown = shown_run(run)
    best = [shown, *run.state.survivors] if shown is not None else run.state.survivors
    pictures = thumbnails(run, [record.name for record in best])
    found = (
        answer(run),
        ranking(run),
        gallery(run, pictures),
        next_search(run),
        stability(run),
        learning(run),
        settings(run),
        budget(run),
        trials_table(run),
    )
    return render_document(
        "search.html",
        run.state.study,
        [section for section in found if section is not None],
        reload_seconds=_RELOAD_SECONDS if run.folder.is_running else None,
        status=run.status,
        facts=list(_facts(run)),
        pictures=html.as_json(pictures),
        details=html.packed(html.as_json(details(run))),
    )


def render_document(
    template: str,
    title: str,
    sections: Sequence[html.Section],
    *,
    reload_seconds: int | None = None,
    **context: object,
) -> str:
    """A complete document. ``reload_seconds``: how often it looks for a newer version of itself."""
    page = html.render(
        template,
        title=title,
        sections=sections,
        reload_seconds=reload_seconds,
        css=html.asset("page.css"),
        script=html.asset("page.js"),
        marks=MARKS,
        figures=html.packed_figures(sections),
        plotly=html.plotly_script(),
        **context,
    )
    return f"{page}\n"


def _facts(run: RunData) -> Iterator[str]:
    """How far the search is."""
    state = run.state
    endings = state.outcome_counts
    ended = endings.total()
    planned = "" if state.planned_trials in (None, ended) else f" of {state.planned_trials}"
    by = ", ".join(f"{endings[e]} {words}" for e, words in ENDINGS.items() if endings[e])
    unit = "trial" if ended == 1 and not planned else "trials"
    yield f"{ended}{planned} {unit}{f' ({by})' if by else ''}"
    finals = sum(record.outcome is not None for record in state.finalists)
    if state.finalists:
        whole = max(state.planned_finalists, len(state.finalists))
        of = "" if finals == whole else f" of {whole}"
        yield f"{finals}{of} finals" if finals != 1 or of else "1 final"
    yield f"{duration(state.seconds)}{'' if state.is_over else ' so far'}"
    if run.folder.is_running:
        yield count(len(state.running), "run in training", "runs in training")
    yield f"written {time.strftime('%Y-%m-%d %H:%M')}"
