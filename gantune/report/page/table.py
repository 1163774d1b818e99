"""The table of trials: it sorts by any column and filters by outcome and text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import count, duration, hundredths, number, share
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.page.html import Html, Node, join, tag
from gantune.report.page.section import Section
from gantune.report.words import fixed, short_names
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    from gantune.report.run import Run

__all__ = ["trials_table"]


def trials_table(run: Run) -> Section | None:
    """A row a trial; ``None`` before any has begun."""
    trials = run.state.trials
    if not trials:
        return None
    percents = sorted({percent for record in trials for percent in record.rungs if percent < 100})
    names = _varying(trials)
    titles = short_names(names)
    heads = [
        *("trial", "outcome", "score", "recall", "coverage", "kimg", "why it ended"),
        *(*(titles[name] for name in names), *(f"{p}%" for p in percents), "time"),
    ]
    buttons = (tag("th", tag("button", head, type="button"), scope="col") for head in heads)
    rows = [_row(record, percents, names) for record in trials]
    table = tag(
        "table",
        tag("thead", tag("tr", *buttons)),
        tag("tbody", *rows),
        id="trials-table",
    )
    body = join([_filters(trials), tag("div", table, class_="scroll")])
    return Section("trials", "All trials", body)


def _filters(trials: Sequence[TrialRecord]) -> Html:
    chips = []
    for ending, mark in MARKS.items():
        amount = sum(ending_of(record) == ending for record in trials)
        if amount:
            chips.append(
                tag(
                    "button",
                    f"{mark.words} {amount}",
                    type="button",
                    class_=f"chip {ending}",
                    data_ending=ending,
                    aria_pressed="true",
                )
            )
    field = tag(
        "input",
        type="search",
        id="filter",
        placeholder="filter: wgan, stillborn, batch 64",
        aria_label="filter the trials",
    )
    shown = tag("output", count(len(trials), "trial"), id="shown", for_="filter")
    return tag("div", field, *chips, shown, class_="filters")


def _varying(trials: Sequence[TrialRecord]) -> list[str]:
    names = dict.fromkeys(name for record in trials for name in record.params)
    kept = [n for n in names if len({repr(record.params.get(n)) for record in trials}) > 1]
    return kept if len(trials) > 1 else list(names)


def _row(record: TrialRecord, percents: Sequence[int], names: Sequence[str]) -> Html:
    outcome, score, ending = record.outcome, record.score, ending_of(record)
    mark = MARKS[ending]
    title = f"{record.number}{' start' if record.is_start else ''}"
    name = tag("button", title, type="button", class_="trial", data_trial=record.name)
    done = outcome.kimg / record.budget_kimg if outcome and record.budget_kimg else None
    kimg = "-" if outcome is None else f"{number(float(outcome.kimg))}"
    part = "" if done is None or done >= 0.995 else f" ({share(done)})"
    why = _why(record)
    numbers = {name: record.params.get(name) for name in names}
    cells = [
        _cell(name, record.number, is_number=False),
        _cell(tag("span", mark.words, class_=f"badge {ending}"), list(MARKS).index(ending), False),
        _cell(tag("b", fixed(record.value)), record.value),
        _cell(hundredths(score.recall if score else None), score.recall if score else None),
        _cell(hundredths(score.coverage if score else None), score.coverage if score else None),
        _cell(f"{kimg}{part}", outcome.kimg if outcome else None),
        tag("td", tag("div", why, title=why or None), class_="why"),
        *(_cell(number(v), v, not isinstance(v, str | bool)) for v in numbers.values()),
        *(_cell(fixed(record.rungs.get(p)), record.rungs.get(p)) for p in percents),
        _cell(duration(outcome.seconds) if outcome else "-", outcome.seconds if outcome else None),
    ]
    return tag("tr", *cells, data_ending=ending, data_trial=record.name)


def _cell(shown: Node, value: Any, is_number: bool = True) -> Html:
    """A cell and what it sorts by: a number where it has one, else its text."""
    sorts = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    key = repr(float(value)) if sorts else None
    return tag("td", shown, data_sort=key, class_="number" if is_number else None)


def _why(record: TrialRecord) -> str:
    outcome = record.outcome
    if outcome is None:
        return ""
    if outcome.verdict is not None:
        return f"{outcome.verdict.rule}: {outcome.verdict.sentence}"
    if outcome.error:
        return outcome.error.strip().splitlines()[-1][:300]
    if outcome.ending == "pruned" and record.rungs:
        return f"by rank at its {max(record.rungs)}% rung"
    return ""
