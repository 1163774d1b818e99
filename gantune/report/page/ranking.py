"""The leaderboard: finalists and survivors, their spread, and what cannot be told apart."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gantune.io.formatting import count, hundredths
from gantune.report.analysis.significance import rung_agreement
from gantune.report.page.html import Html, Node, join, tag
from gantune.report.page.section import Section, figure_place, notes
from gantune.report.sentences import about_ties
from gantune.report.words import fixed
from gantune.tuner.descriptions import mean_text, score_name
from gantune.tuner.finalists import Ranked
from gantune.tuner.state import unscored_finalists

if TYPE_CHECKING:
    from gantune.report.run import Run

__all__ = ["ranking"]

_MOST = 10  # survivors in the table; all are in the trials' table


def ranking(run: Run) -> Section | None:
    """``None`` where no trial has a score."""
    state = run.state
    if not state.survivors:
        return None
    figure = run.leaderboard()
    agreement = rung_agreement(state.survivors)
    lines: list[Node] = [*about_ties(state), *([_sentence(str(agreement))] if agreement else [])]
    title = f"{score_name(state)}, lower is better"
    tables = tag("div", _finals(run), _survivors(run))
    drawn = tag("div", figure_place("leaderboard", figure, title), notes(lines))
    body = tag("div", tables, drawn, class_="halves")
    return Section("leaderboard", "Leaderboard", body, {"leaderboard": figure})


def _sentence(text: str) -> str:
    """A line of the terminal as a sentence."""
    words = text.removeprefix("! ")
    return f"{words[:1].upper()}{words[1:]}{'' if words.endswith('.') else '.'}"


def _finals(run: Run) -> Html | None:
    state = run.state
    if not state.ranking:
        return None
    seeds = sorted({r.seed for r in state.finalists if r.seed is not None and r.outcome})
    heads = ["#", "trial", "mean", "error", "recall", "coverage", *(f"seed {s}" for s in seeds)]
    rows = [_ranked(run, place, one, seeds) for place, one in enumerate(state.ranking, start=1)]
    lost = unscored_finalists(state)
    words = [f"trial {number}, {text}" for one in state.ranking for number, text in _doubts(one)]
    words += [f"trial {number}: no seed has a score" for number in lost]
    caption = f"Finals: trained again from scratch on {count(len(seeds), 'fresh seed')}"
    return join(
        [tag("h3", caption), _table(heads, rows), notes(words[:6], "warning")],
    )


def _doubts(ranked: Ranked) -> Iterator[tuple[int, str]]:
    first, *rest = ranked.warnings or ("",)
    if first:
        more = f" (and {count(len(rest), 'more warning')})" if rest else ""
        yield ranked.origin, f"{first}{more}"


def _ranked(run: Run, place: int, ranked: Ranked, seeds: list[int]) -> list[Node]:
    values = {
        record.seed: fixed(record.value) if record.value is not None else record.outcome.ending
        for record in run.state.finalists
        if record.origin == ranked.origin and record.outcome is not None
    }
    return [
        str(place),
        _trial(ranked.origin, ranked.is_start),
        tag("b", mean_text(ranked)),
        fixed(ranked.error, digits=2),
        hundredths(ranked.recall),
        hundredths(ranked.coverage),
        *(values.get(seed, "-") for seed in seeds),
    ]


def _survivors(run: Run) -> Html:
    survivors = run.state.survivors
    heads = ["#", "trial", "score", "error", "recall", "coverage", "at kimg"]
    rows: list[list[Node]] = []
    for place, record in enumerate(survivors[:_MOST], start=1):
        score, outcome = record.score, record.outcome
        assert score is not None
        assert outcome is not None
        name = _trial(record.number, record.is_start)
        mark = "" if outcome.ending == "completed" else f" ({outcome.ending} later)"
        rows.append(
            [
                str(place),
                join([name, mark]),
                tag("b", fixed(record.value)),
                fixed(score.error, digits=2),
                hundredths(score.recall),
                hundredths(score.coverage),
                fixed(outcome.best_kimg),
            ]
        )
    more = len(survivors) - len(rows)
    rest = notes([f"{count(more, 'more survivor')} in the table of trials."]) if more else None
    return join([tag("h3", "The search: one seed each"), _table(heads, rows), rest])


def _trial(number: int, is_start: bool) -> Html:
    name = f"{number}{' start' if is_start else ''}"
    return tag("button", name, class_="trial", data_trial=f"trials/{number:04d}")


def _table(heads: list[str], rows: list[list[Node]]) -> Html:
    head = tag("thead", tag("tr", *(tag("th", head, scope="col") for head in heads)))
    body = tag("tbody", *(tag("tr", *(tag("td", cell) for cell in row)) for row in rows))
    return tag("div", tag("table", head, body, class_="small"), class_="scroll")
