"""A search as pandas tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gantune.report.analysis.outcomes import ending_of
from gantune.run_folder.trial import TrialFolder
from gantune.scores.text import beside
from gantune.tuner.records import TrialRecord

if TYPE_CHECKING:
    from pandas import DataFrame

_OWN_COLUMNS = ("kimg", "rung", "value")


def trials_table(trials: Sequence[TrialRecord]) -> DataFrame:
    """A row a trial, by its number: ``ending`` (``running`` while it does), ``score``, ``kimg``,
    ``budget_kimg``, ``steps`` of the generator, ``seconds`` of training, ``scoring_seconds``,
    ``best_kimg``, ``rule`` and ``verdict`` of health, what stands beside a score as in
    ``trials.csv``, ``rung_25`` and so on, and every parameter under its own name."""
    return _table([_row(record) for record in trials], "number")


def finals_table(finals: Sequence[TrialRecord]) -> DataFrame:
    """The same of the finalists' trainings, with ``trial``, whose config it is, and ``seed``."""
    return _table(
        [{**_row(record), "trial": record.origin, "seed": record.seed} for record in finals],
        "number",
    )


def ticks_table(folder: TrialFolder) -> DataFrame:
    """A row a tick: the fields of ``Tick``, of a trainer of one's own what it reported. Penalties
    are columns such as ``penalties.r1``."""
    lines = []
    for line in folder.tick_lines():
        penalties = line.pop("penalties", None) or {}
        lines.append({**line, **{f"penalties.{name}": value for name, value in penalties.items()}})
    return _table(lines, None, ("kimg",))


def scores_table(folder: TrialFolder) -> DataFrame:
    """A row a score: ``kimg``, ``rung`` (share of the budget; missing for the full protocol),
    ``value`` and what stands beside it."""
    lines = []
    for line in folder.scores():
        plain = {k: v for k, v in line.items() if not isinstance(v, Mapping)}
        lines.append({**plain, "protocol": line["protocol"]["hash"]})
    return _table(lines, None, _OWN_COLUMNS)


def _row(record: TrialRecord) -> dict[str, Any]:
    outcome = record.outcome
    verdict = outcome.verdict if outcome else None
    return {
        "number": record.number,
        "ending": ending_of(record),
        "score": record.value,
        **beside(record.score),
        "kimg": outcome.kimg if outcome else None,
        "budget_kimg": record.budget_kimg,
        "steps": outcome.step if outcome else None,
        "seconds": outcome.seconds if outcome else None,
        "scoring_seconds": outcome.scoring_seconds if outcome else None,
        "best_kimg": outcome.best_kimg if outcome else None,
        "rule": verdict.rule if verdict else None,
        "verdict": verdict.sentence if verdict else None,
        "is_start": record.is_start,
        **{f"rung_{percent}": value for percent, value in sorted(record.rungs.items())},
        **record.params,
    }


def _table(
    rows: Sequence[Mapping[str, Any]], index: str | None, columns: Sequence[str] = ()
) -> DataFrame:
    import pandas as pd

    names = list(dict.fromkeys([*columns, *(key for row in rows for key in row)]))
    if index is not None and index not in names:
        names.append(index)
    table = pd.DataFrame(list(rows), columns=names)
    return table if index is None else table.set_index(index)
