"""All trials: a table that sorts and filters, and the details that open at a click."""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from shlex import quote
from typing import Any

from gantune.io.formatting import count, duration, format_ratio, format_value, number
from gantune.report import tables
from gantune.report.analysis.curves import RunCurves
from gantune.report.analysis.hyperparameters import D_LR, G_LR
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.figures.curves import name_of
from gantune.report.page.html import Section, section
from gantune.report.run_data import RunData
from gantune.report.wording import short_names, title
from gantune.scores import score as flags
from gantune.scores.text import protocol_line, score_text
from gantune.trial.records import TrialRecord
from gantune.tuner.advice import what_to_try

_ERROR_LINES = 30  # the last ones
_LONGEST = 20_000  # characters of a config or an error


def trials_table(run: RunData) -> Section | None:
    """A row for each trial; ``None`` before any has started."""
    trials = run.state.trials
    if not trials:
        return None
    amounts = Counter(map(ending_of, trials))
    chips = [
        {"ending": ending, "text": f"{mark.words} {amounts[ending]}"}
        for ending, mark in MARKS.items()
        if amounts[ending]
    ]
    shown, table = count(len(trials), "trial"), tables.trials(run.state)
    return section("trials", "All trials", table=table, chips=chips, shown=shown)


def details(run: RunData) -> Mapping[str, Any]:
    """Each run's facts, config, curves and scores as plain values, by the name of its folder."""
    records = (*run.state.trials, *run.state.finalists)
    return {record.name: _details(run, record) for record in records}


def _details(run: RunData, record: TrialRecord) -> dict[str, Any]:
    outcome, folder = record.outcome, run.folder.trial(record.name)
    verdict, ending = outcome.verdict if outcome else None, ending_of(record)
    curves = run.curves.get(record.name) or RunCurves((), {}, ())
    found: dict[str, Any] = {
        "title": title(record) + (" (start)" if record.is_start else ""),
        "ending": ending,
        "words": MARKS[ending].words,
        "facts": list(_facts(run, record)),
        "lines": list(_lines(run, record)),
        "params": settings_of(run, record),
        "kimg": curves.kimg,
        "signals": [[name_of(name), values] for name, values in curves.signals.items()],
        "scores": curves.scores,
        "folder": str(folder.path),
    }
    proposals = what_to_try(run.folder, record.name, outcome)
    found["facts"] += [["try", str(one)] for one in proposals]
    if (command := _command(run, record, any(one.changes for one in proposals))) is not None:
        found["command"] = command
    if verdict is not None:
        found["stop"] = [verdict.since, verdict.at] if verdict.unit == "kimg" else None
    with suppress(OSError):
        if config := folder.config.read_text(encoding="utf-8", errors="replace"):
            found["config"] = config[:_LONGEST]
    if outcome is not None and outcome.error:
        lines = outcome.error.strip().splitlines()[-_ERROR_LINES:]
        found["error"] = "\n".join(lines)[-_LONGEST:]
    return found


def settings_of(run: RunData, record: TrialRecord) -> list[tuple[str, str]]:
    """A trial's settings as text; always with both learning rates, searched or not. Words first."""
    number_ = record.number if record.origin is None else record.origin
    config, names = run.hyperparameters[number_], short_names({G_LR, D_LR, *record.params})
    rates = {name: config[name] for name in (G_LR, D_LR) if name in config}
    words = {name: value for name, value in record.params.items() if isinstance(value, str)}
    found = {**words, **rates, **record.params}
    return [(names[name], number(value)) for name, value in found.items()]


def _lines(run: RunData, record: TrialRecord) -> Iterator[str]:
    """Why a run ended, in one line; what to try would be the next one."""
    if (told := tables.reason(record).text) != "":
        yield told
    elif record.outcome is None:
        is_running = run.folder.is_running
        yield "In training." if is_running else "Interrupted: the search resumes it."
    elif record.value is not None and record.origin is None:
        survivors = [one.number for one in run.state.survivors]
        place = survivors.index(record.number) + 1
        yield f"Trained to its end: number {place} of {len(survivors)} with a score."
    else:
        yield f"{MARKS[ending_of(record)].words.capitalize()}."


def _command(run: RunData, record: TrialRecord, has_remedies: bool) -> str | None:
    """What trains this config again, or finds a change of it that trains; ``None`` where it is
    lost."""
    config, number = run.folder.trial(record.name).config, record.number
    if not config.exists():
        return None
    if has_remedies:
        number = number if record.origin is None else record.origin
        return f"gantune stabilize {quote(f'{run.folder.path}#{number}')}"
    if record.origin is None:
        return f"gantune train {quote(f'{run.folder.path}#{number}')}"
    return f"gantune train {quote(str(config))}"


def _facts(run: RunData, record: TrialRecord) -> Iterator[list[str]]:
    """Name and text of each fact."""
    outcome, score = record.outcome, record.score
    if score is not None:
        yield ["score", score_text(score)]
        yield ["", protocol_line(score.protocol)]
        if score.recall is not None:
            coverage = format_ratio(score.coverage)
            yield ["recall", f"{format_ratio(score.recall)}, coverage {coverage}"]
        if outcome is not None and outcome.best_kimg is not None:
            yield ["scored at", f"{number(float(outcome.best_kimg))} kimg"]
        yield from (["warning", text] for text in flags.warnings(score))
    if record.rungs:
        rungs = (f"{at}%: {format_value(value)}" for at, value in sorted(record.rungs.items()))
        yield ["rungs", ", ".join(rungs)]
    budget = number(record.budget_kimg)
    if record.is_paused:
        yield [
            "waits",
            f"at its {record.last_percent}% rung; it goes on if it is among the best there",
        ]
    if outcome is not None:
        yield ["trained", f"{number(float(outcome.kimg))} of {budget} kimg"]
        steps = f"{outcome.step:,} generator steps in " if outcome.step else ""
        scoring = duration(outcome.scoring_seconds)
        yield ["took", f"{steps}{duration(outcome.seconds)}, scoring {scoring}"]
    elif (line := run.folder.trial(record.name).last_tick()) is not None:
        yield ["trained", f"{line['kimg']:.4g} of {budget} kimg so far"]
