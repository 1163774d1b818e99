"""What stands in the run folder after every trial: its ending, the table, the words of the best."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantune.files import write_text
from gantune.search.finalists import Ranked, survivors
from gantune.search.folder import RunFolder, TrialFolder
from gantune.search.records import Outcome, TrialRecord
from gantune.search.state import RunState

__all__ = [
    "commented",
    "describe_best",
    "describe_outcome",
    "describe_trial",
    "describe_winner",
    "drop_checkpoints",
    "write_ending",
    "write_table",
]

_KEPT_CHECKPOINTS = 10


def write_ending(folder: TrialFolder, outcome: Outcome) -> None:
    """Writes ``verdict.json`` and the traceback of a crash; ``last.pt`` goes, its work is done."""
    if outcome.error:
        write_text(folder.error, outcome.error)
    folder.last.unlink(missing_ok=True)
    write_text(folder.verdict, json.dumps(outcome.to_dict(), indent=2) + "\n")  # all is done


def drop_checkpoints(folder: RunFolder, trials: Sequence[TrialRecord]) -> None:
    """Removes ``best.pt`` of all ended trials but the ten best."""
    kept = {record.number for record in survivors(trials)[:_KEPT_CHECKPOINTS]}
    for record in trials:
        if record.outcome is not None and record.number not in kept:
            folder.trial(record.name).best.unlink(missing_ok=True)


def write_table(path: Path, trials: Sequence[TrialRecord]) -> None:
    """Writes ``trials.csv``: a row a trial, parameters as columns; empty where there is none."""
    rows = [_row(record) for record in trials]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def describe_outcome(name: str, outcome: Outcome) -> str:
    """How a run ended, in one line."""
    text = f"{name} {outcome.ending.replace('_', ' ')} at {outcome.kimg:g} kimg"
    if outcome.verdict is not None:
        text += f": {outcome.verdict.sentence}"
    if outcome.score is not None:
        text += f" ({outcome.score.name} {outcome.score.value:.4g})"
    if outcome.error:
        text += f": {outcome.error.strip().splitlines()[-1]}"
    return text


def describe_best(state: RunState) -> str:
    """The score of the state's best in words, with its protocol and spread."""
    if state.winner is not None:
        return _describe_finalist(state.winner)
    assert state.best is not None
    return describe_trial(state.best)


def describe_winner(state: RunState) -> str:
    """The note on the study: Optuna's best trial and the search's winner need not be the same."""
    assert state.best is not None
    single = state.survivors[0]
    return (
        f"gantune's choice is trial {state.best.number}: {describe_best(state).splitlines()[0]}. "
        f"Optuna's best trial is {single.number}, by its single score of {single.value:.4g}; the "
        f"finals, trained on fresh seeds, are the study {state.study}.finalists."
    )


def describe_trial(record: TrialRecord) -> str:
    """A survivor's score in words: ``fid[classifier-digits] 8.12 (protocol ..., 2000 samples)``."""
    assert record.outcome is not None and record.outcome.score is not None
    score = record.outcome.score
    return (
        f"{score.name} {score.value:.4g} (protocol {score.protocol.hash}, "
        f"{score.generated} samples)\n"
        f"trial {record.number}, one seed"
    )


def _describe_finalist(ranked: Ranked) -> str:
    """A finalist's score in words, with its spread over seeds."""
    spread = "" if ranked.deviation is None else f" +- {ranked.deviation:.2g}"
    seeds = ", ".join(str(seed) for seed in ranked.seeds)
    score = ranked.scores[0]
    lines = [
        f"{score.name} {ranked.mean:.4g}{spread} over {len(ranked.values)} of "
        f"{len(ranked.seeds)} seeds (protocol {score.protocol.hash}, {score.generated} samples)",
        f"trial {ranked.origin}, trained from scratch on seeds {seeds}",
    ]
    return "\n".join([*lines, *(f"warning: {text}" for text in ranked.warnings)])


def commented(text: str) -> str:
    """Text as YAML comment lines."""
    return "\n".join(f"# {line}".rstrip() for line in text.strip().splitlines())


def _row(record: TrialRecord) -> Mapping[str, Any]:
    outcome = record.outcome
    row: dict[str, Any] = {
        "number": record.number,
        "ending": outcome.ending if outcome else "running",
        "score": record.value,
        "kimg": outcome.kimg if outcome else None,
        "budget_kimg": record.budget_kimg,
        "generator_steps": outcome.step if outcome else None,
        "seconds": round(outcome.seconds, 2) if outcome else None,
        "scoring_seconds": round(outcome.scoring_seconds, 2) if outcome else None,
        "protocol": outcome.score.protocol.hash if outcome and outcome.score else None,
        "best_kimg": outcome.best_kimg if outcome else None,
        "verdict": outcome.verdict.sentence if outcome and outcome.verdict else None,
    }
    row |= {f"rung_{percent}": value for percent, value in sorted(record.rungs.items())}
    return row | {name: value for name, value in record.params.items()}
