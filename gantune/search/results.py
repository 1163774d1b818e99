"""What stands in the run folder after every trial: its ending, the table, the words of the best."""

from __future__ import annotations

import csv
import io
import json
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantune.config import AnyConfig, dump_config
from gantune.io.files import write_text
from gantune.io.formatting import fixed
from gantune.run_folder.trial import TrialFolder
from gantune.scores.protocol import Protocol
from gantune.scores.score import HeldOut
from gantune.scores.text import (
    beside,
    beside_text,
    held_out_text,
    protocol_line,
    ranked_text,
    score_text,
)
from gantune.search.finalists import Ranked
from gantune.search.records import TrialRecord
from gantune.search.state import RunState
from gantune.trial.captured_output import capped
from gantune.trial.external.checkpoint_copies import drop_copy, drop_former
from gantune.trial.records import Outcome

_KEPT_CHECKPOINTS = 10


_WIDTH = 98  # of a comment's text


def write_ending(folder: TrialFolder, outcome: Outcome) -> None:
    """Writes ``verdict.json`` and the traceback of a crash; what it would go on from goes, its work
    is done."""
    if outcome.error:
        write_text(folder.error, outcome.error)
    folder.drop_checkpoints()
    drop_former(folder.own_best)
    drop_copy(folder.own_last)
    drop_copy(folder.checkpoints)
    capped(folder.output)  # a worker that was killed has not
    write_text(folder.verdict, json.dumps(outcome.to_dict(), indent=2) + "\n")  # all is done


def read_ending(
    folder: TrialFolder, config: AnyConfig
) -> tuple[Outcome, dict[float, float]] | None:
    """How a run of ``config`` has ended, and its scores by rung; ``None`` where its folder does not
    tell."""
    try:
        if folder.config.read_text(encoding="utf-8") != dump_config(config):
            return None
        outcome = Outcome.from_dict(json.loads(folder.verdict.read_text(encoding="utf-8")))
        return outcome, {line["rung"]: line["value"] for line in folder.scores() if line["rung"]}
    except FileNotFoundError:
        return None
    except (ValueError, KeyError, TypeError):  # damaged: it is trained again
        return None


def drop_checkpoints(state: RunState, dropped: set[str]) -> None:
    """Removes ``best.pt``, or the copy ``best/``, of all ended trials but the ten best.

    ``dropped``: names of those that have lost it, which are not looked at again; it grows here.
    """
    kept = {record.name for record in state.survivors[:_KEPT_CHECKPOINTS]}
    for record in state.trials:
        if record.outcome is not None and record.name not in kept and record.name not in dropped:
            home = state.folder.trial(record.name)
            home.best.unlink(missing_ok=True)
            drop_copy(home.own_best)
            dropped.add(record.name)


def write_table(
    path: Path, trials: Sequence[TrialRecord], rung_protocol: Protocol | None = None
) -> None:
    """Writes ``trials.csv``: a row a trial, parameters as columns; empty where there is none."""
    rows = [_row(record, rung_protocol) for record in trials]
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def describe_best(state: RunState) -> str:
    """The score of the state's best in words, with its protocol and spread."""
    if state.winner is not None:
        return _describe_finalist(state.winner)
    assert state.best is not None
    return describe_trial(state.best)


def describe_winner(state: RunState) -> str:
    """The note on the study: Optuna's best trial and the search's winner need not be the same."""
    single = state.survivors[0]
    assert state.best is not None and single.value is not None
    return (
        f"gantune's choice is trial {state.best.number}: {describe_best(state).splitlines()[0]}. "
        f"Optuna's best trial is {single.number}, by its single score of {fixed(single.value)}; "
        f"the finals, trained on fresh seeds, are the study {state.study}.finalists."
    )


def describe_trial(record: TrialRecord) -> str:
    """A survivor's score in words, with its protocol and what stands beside it."""
    assert record.score is not None
    score = record.score
    lines = [
        f"{score_text(score)}, {protocol_line(score.protocol)}",
        beside_text(score.recall, score.coverage),
        *_held_out_lines(score.name, score.held_out),
        f"trial {record.number}, one seed",
    ]
    return "\n".join(lines)


def _describe_finalist(ranked: Ranked) -> str:
    """A finalist's score in words, with its spread over seeds."""
    seeds = ", ".join(str(seed) for seed in ranked.seeds)
    score = ranked.scores[0]
    lines = [
        f"{score.name} {ranked_text(ranked)}, {protocol_line(score.protocol)}",
        beside_text(ranked.recall, ranked.coverage),
        *_held_out_lines(score.name, ranked.held_out),
        f"trial {ranked.origin}, trained from scratch on seeds {seeds}",
        *(f"warning: {text}" for text in ranked.warnings),
    ]
    return "\n".join(lines)


def _held_out_lines(name: str, held_out: HeldOut | None) -> list[str]:
    return [] if held_out is None else textwrap.wrap(held_out_text(name, held_out), _WIDTH)


def _row(record: TrialRecord, rung_protocol: Protocol | None) -> Mapping[str, Any]:
    outcome = record.outcome
    row: dict[str, Any] = {
        "number": record.number,
        "ending": outcome.ending if outcome else "running",
        "score": record.value,
        **beside(record.score),
        "kimg": outcome.kimg if outcome else None,
        "budget_kimg": record.budget_kimg,
        "generator_steps": outcome.step if outcome else None,
        "seconds": round(outcome.seconds, 2) if outcome else None,
        "scoring_seconds": round(outcome.scoring_seconds, 2) if outcome else None,
        "protocol": record.score.protocol.hash if record.score else None,
        "best_kimg": outcome.best_kimg if outcome else None,
        "verdict": outcome.verdict.sentence if outcome and outcome.verdict else None,
    }
    row["rung_protocol"] = rung_protocol.hash if rung_protocol and record.rungs else None
    row |= {f"rung_{percent}": value for percent, value in sorted(record.rungs.items())}
    return row | {name: value for name, value in record.params.items()}
