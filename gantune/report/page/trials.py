"""The table of trials: it sorts by any column and filters by outcome and text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantune.io.formatting import count, duration, format_ratio, format_value, number, share
from gantune.report.analysis.curves import RunCurves
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.figures.curves import name_of
from gantune.report.page.html import Html, Node, Section, join, tag
from gantune.report.run_data import RunData
from gantune.report.wording import short_names, title
from gantune.scores import score as flags
from gantune.scores.text import protocol_line, score_text
from gantune.tuner.records import TrialRecord


def trials_table(run: RunData) -> Section | None:
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
        _cell(tag("b", format_value(record.value)), record.value),
        _cell(format_ratio(score.recall if score else None), score.recall if score else None),
        _cell(format_ratio(score.coverage if score else None), score.coverage if score else None),
        _cell(f"{kimg}{part}", outcome.kimg if outcome else None),
        tag("td", tag("div", why, title=why or None), class_="why"),
        *(_cell(number(v), v, not isinstance(v, str | bool)) for v in numbers.values()),
        *(_cell(format_value(record.rungs.get(p)), record.rungs.get(p)) for p in percents),
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


# What opens at a click: each run's evidence, config, curves and scores, as plain values.


_LAST_LINES = 30  # of an error's text


_LONGEST = 20_000  # characters of a config or an error


def details(run: RunData) -> Mapping[str, Any]:
    """Of every run by its folder's name, in the order in which they are gone through."""
    records = (*run.state.trials, *run.state.finalists)
    return {record.name: _detail(run, record) for record in records}


def _detail(run: RunData, record: TrialRecord) -> dict[str, Any]:
    outcome, home = record.outcome, run.folder.trial(record.name)
    verdict = outcome.verdict if outcome else None
    ending = ending_of(record)
    curves = run.curves.get(record.name) or RunCurves((), {}, ())
    found: dict[str, Any] = {
        "title": title(record) + (" (start)" if record.is_start else ""),
        "ending": ending,
        "words": MARKS[ending].words,
        "facts": _facts(run, record),
        "params": [[short, number(record.params[name])] for name, short in _names(record).items()],
        "kimg": curves.kimg,
        "signals": [[name_of(name), values] for name, values in curves.signals.items()],
        "scores": curves.scores,
        "folder": str(home.path),
    }
    if verdict is not None:
        found["why"] = f"{verdict.rule}: {verdict.sentence}"
        found["stop"] = [verdict.since, verdict.at] if verdict.unit == "kimg" else None
    config = _text(home.config)
    if config:
        found["config"] = config[:_LONGEST]
    if outcome is not None and outcome.error:
        found["error"] = "\n".join(outcome.error.strip().splitlines()[-_LAST_LINES:])[-_LONGEST:]
    return found


def _names(record: TrialRecord) -> Mapping[str, str]:
    return short_names(record.params)


def _facts(run: RunData, record: TrialRecord) -> list[list[str]]:
    """What is to be said of the run, a name and a text each."""
    outcome, score = record.outcome, record.score
    facts: list[list[str]] = []
    if score is not None:
        facts.append(["score", score_text(score)])
        facts.append(["", protocol_line(score.protocol)])
        if score.recall is not None:
            facts.append(
                ["recall", f"{format_ratio(score.recall)}, coverage {format_ratio(score.coverage)}"]
            )
        if outcome is not None and outcome.best_kimg is not None:
            facts.append(["scored at", f"{number(float(outcome.best_kimg))} kimg"])
        facts += [["warning", text] for text in flags.warnings(score)]
    rungs = [
        f"{percent}%: {format_value(value)}" for percent, value in sorted(record.rungs.items())
    ]
    if rungs:
        facts.append(["rungs", ", ".join(rungs)])
    if outcome is not None:
        budget = number(record.budget_kimg)
        facts.append(["trained", f"{number(float(outcome.kimg))} of {budget} kimg"])
        steps = f"{outcome.step:,} generator steps in " if outcome.step else ""
        scoring = duration(outcome.scoring_seconds)
        facts.append(["took", f"{steps}{duration(outcome.seconds)}, scoring {scoring}"])
    elif (line := run.folder.trial(record.name).last_line()) is not None:
        facts.append(["trained", f"{line['kimg']:.4g} of {number(record.budget_kimg)} kimg so far"])
    return facts


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
