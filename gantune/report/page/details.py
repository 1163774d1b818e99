"""What opens at a click: each run's evidence, config, curves and scores, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantune.io.formatting import duration, hundredths, number
from gantune.report.analysis.curves import RunCurves
from gantune.report.analysis.outcomes import MARKS, ending_of
from gantune.report.figures.curves import name_of
from gantune.report.words import fixed, short_names, title
from gantune.scores import score as flags
from gantune.scores.text import protocol_line, score_text
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    from gantune.report.run import Run

__all__ = ["details"]

_LAST_LINES = 30  # of an error's text
_LONGEST = 20_000  # characters of a config or an error


def details(run: Run) -> Mapping[str, Any]:
    """Of every run by its folder's name, in the order in which they are gone through."""
    records = (*run.state.trials, *run.state.finalists)
    return {record.name: _detail(run, record) for record in records}


def _detail(run: Run, record: TrialRecord) -> dict[str, Any]:
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


def _facts(run: Run, record: TrialRecord) -> list[list[str]]:
    """What is to be said of the run, a name and a text each."""
    outcome, score = record.outcome, record.score
    facts: list[list[str]] = []
    if score is not None:
        facts.append(["score", score_text(score)])
        facts.append(["", protocol_line(score.protocol)])
        if score.recall is not None:
            facts.append(
                ["recall", f"{hundredths(score.recall)}, coverage {hundredths(score.coverage)}"]
            )
        if outcome is not None and outcome.best_kimg is not None:
            facts.append(["scored at", f"{number(float(outcome.best_kimg))} kimg"])
        facts += [["warning", text] for text in flags.warnings(score)]
    rungs = [f"{percent}%: {fixed(value)}" for percent, value in sorted(record.rungs.items())]
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
