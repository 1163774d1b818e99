"""What stands in the run folder after every trial: its ending, the table, the words of the best."""

from __future__ import annotations

import csv
import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from gantune.config import AnyConfig, dump_config
from gantune.io.files import write_text
from gantune.io.yaml_document import as_comment
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores.protocol import Protocol
from gantune.scores.text import beside
from gantune.trial.captured_output import capped
from gantune.trial.external.checkpoint_copies import drop_copy, remove_backups
from gantune.trial.records import Assignment, Outcome
from gantune.tuner.annotations import show_search
from gantune.tuner.descriptions import describe_best, describe_winner
from gantune.tuner.records import TrialRecord
from gantune.tuner.state import RunState
from gantune.tuner.study import Study

_KEPT_CHECKPOINTS = 10


def write_ending(folder: TrialFolder, outcome: Outcome) -> None:
    """Writes ``verdict.json`` and the traceback of a crash; what it would go on from goes, its work
    is done."""
    if outcome.error:
        write_text(folder.error, outcome.error)
    folder.drop_checkpoints()
    remove_backups(folder.own_best)
    drop_copy(folder.own_last)
    drop_copy(folder.checkpoints)
    capped(folder.output)  # a worker that was killed has not
    write_text(folder.verdict, json.dumps(outcome.to_dict(), indent=2) + "\n")  # all is done


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


# ``ResultsWriter``: what is written of a search beside its studies, once no worker waits.


_QUICK = 0.2  # seconds that writing the results may take at every trial's end


_RARELY = 20  # if it takes longer: at most one part in so many of the time is spent on it


class ResultsWriter:
    """The configs of what was handed out, and the results of what has ended.

    ``header``: what ``best.yaml`` says of its origin.
    """

    def __init__(self, folder: RunFolder, trials: Study, finals: Study, header: str) -> None:
        self._folder, self._trials, self._finals, self._header = folder, trials, finals, header
        self._handed_out: list[Assignment] = []
        self._dropped: set[str] = set()  # names of trials whose checkpoints are gone
        self._next_writing = 0.0  # monotonic time
        self.is_behind = False
        """Whether something has ended since the results were written."""

    @property
    def is_due(self) -> bool:
        """Whether the results are to be written now: where that takes long, in a large study, not
        for some time after the last writing."""
        return self.is_behind and time.monotonic() >= self._next_writing

    def hand_out(self, assignment: Assignment) -> None:
        """Makes a run's folder ready for it; its config is written by ``write_configs``."""
        home = self._folder.trial(assignment.name)
        home.path.mkdir(parents=True, exist_ok=True)
        home.verdict.unlink(missing_ok=True)  # of another config: it must not become this one's
        self._handed_out.append(assignment)

    def write_configs(self) -> None:
        """Writes each ``config.yaml`` of what was handed out since this was done last."""
        for assignment in self._handed_out:
            place = self._folder.trial(assignment.name).config
            write_text(place, dump_config(assignment.config))
        self._handed_out.clear()

    def write(self, state: RunState, best: AnyConfig | None) -> None:
        """Writes ``trials.csv``, ``best.yaml`` and the studies' notes, and removes checkpoints that
        are needed no more."""
        begun = time.monotonic()
        write_table(self._folder.table, state.trials, state.rung_protocol)
        drop_checkpoints(state, self._dropped)
        if best is not None:
            heading = f"{describe_best(state)}\n{self._header}"
            write_text(self._folder.best, f"{as_comment(heading)}\n{dump_config(best)}")
            self._trials.set_attribute("note", describe_winner(state))
        show_search(self._trials, self._finals, state, self._header)
        self.is_behind = False
        ended = time.monotonic()
        if ended - begun > _QUICK:
            self._next_writing = ended + _RARELY * (ended - begun)
