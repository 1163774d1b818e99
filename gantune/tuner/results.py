"""Results beside the studies: each run's outcome, ``trials.csv``, ``best.yaml`` and the notes."""

import csv
import io
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gantune.config import AnyConfig, dump_config
from gantune.io.files import write_text
from gantune.io.yaml_document import as_comment
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.scores.score import Protocol
from gantune.scores.text import extra_metrics
from gantune.trial.captured_output import truncate_middle
from gantune.trial.checkpoint_files import drop_copy, remove_backups
from gantune.trial.records import Assignment, Outcome, TrialRecord, why_ended
from gantune.tuner.annotations import annotate_search
from gantune.tuner.descriptions import describe_best, describe_winner
from gantune.tuner.state import RunState
from gantune.tuner.study import Study

_KEPT_CHECKPOINTS = 10
_QUICK = 0.2  # seconds; writing that takes less is done at every trial's end
_PAUSE = 20  # after slower writing, the pause is so many times as long


class ResultsWriter:
    """Writes the configs of runs that were handed out, and the results of those that have ended.

    ``header``: where ``best.yaml`` comes from, for its comment.
    """

    def __init__(self, folder: RunFolder, trials: Study, finals: Study, header: str) -> None:
        self._folder, self._trials, self._finals, self._header = folder, trials, finals, header
        self._assignments: list[Assignment] = []  # whose configs are not written yet
        self._without_checkpoints: set[str] = set()
        self._table = _Table()
        self._next_writing = 0.0  # monotonic time
        self.is_behind = False
        """Whether a run has ended since the results were written."""

    @property
    def is_due(self) -> bool:
        """Whether to write the results now; less often where writing takes long."""
        return self.is_behind and time.monotonic() >= self._next_writing

    def prepare_folder(self, assignment: Assignment) -> None:
        """Creates a run's folder; ``write_configs`` writes its config later."""
        home = self._folder.trial(assignment.name)
        home.path.mkdir(parents=True, exist_ok=True)
        home.verdict.unlink(missing_ok=True)  # it belongs to another config
        self._assignments.append(assignment)

    def write_configs(self) -> None:
        """Writes each ``config.yaml`` that is missing."""
        for assignment in self._assignments:
            path = self._folder.trial(assignment.name).config
            write_text(path, dump_config(assignment.config))
        self._assignments.clear()

    def write(self, state: RunState, best: AnyConfig | None) -> None:
        """Writes ``trials.csv``, ``best.yaml`` and the studies' notes, and deletes checkpoints that
        are no longer needed."""
        start = time.monotonic()
        write_text(self._folder.table, self._table.text(state.trials, state.rung_protocol))
        self._delete_checkpoints(state)
        if best is not None:
            heading = f"{describe_best(state)}\n{self._header}"
            write_text(self._folder.best, f"{as_comment(heading)}\n{dump_config(best)}")
            self._trials.set_attribute("note", describe_winner(state))
        annotate_search(self._trials, self._finals, state, self._header)
        self.is_behind = False
        end = time.monotonic()
        if end - start > _QUICK:
            self._next_writing = end + _PAUSE * (end - start)

    def _delete_checkpoints(self, state: RunState) -> None:
        """Deletes the best weights of all ended trials but the ten best."""
        kept = {record.name for record in state.survivors[:_KEPT_CHECKPOINTS]}
        for record in state.trials:
            is_open = record.outcome is None or record.is_paused
            if is_open or record.name in kept | self._without_checkpoints:
                continue
            home = state.folder.trial(record.name)
            if home.path.exists():
                home.best.unlink(missing_ok=True)
                drop_copy(home.external_best)
            self._without_checkpoints.add(record.name)


def write_outcome(folder: TrialFolder, outcome: Outcome) -> None:
    """Writes ``verdict.json`` and the traceback of a crash; deletes the resume state, which is no
    longer needed."""
    text = json.dumps(outcome.to_dict(), indent=2) + "\n"
    if not folder.path.exists() and not outcome.error:  # lost; the study has it on disk already
        write_text(folder.verdict, text, sync=False)
        return
    if outcome.error:
        write_text(folder.error, outcome.error)
    folder.delete_resume_state()
    remove_backups(folder.external_best)
    drop_copy(folder.external_last)
    drop_copy(folder.checkpoints)
    truncate_middle(folder.output)  # a worker that was killed did not
    write_text(folder.verdict, text)  # last: all is done


def keep_paused(folder: TrialFolder) -> None:
    """Deletes what a paused trial does not need to go on: the backups of its checkpoints."""
    folder.remove_backups()
    remove_backups(folder.external_best)
    remove_backups(folder.external_last)
    drop_copy(folder.checkpoints)


class _Table:
    """``trials.csv``, of which only the rows of trials that have changed are made anew."""

    def __init__(self) -> None:
        self._rows: dict[int, tuple[TrialRecord, Mapping[str, Any]]] = {}
        self._lines: dict[int, str] = {}
        self._columns: list[str] = []
        self._rung_protocol: Protocol | None = None

    def text(self, records: Sequence[TrialRecord], rung_protocol: Protocol | None) -> str:
        """The whole table."""
        if rung_protocol != self._rung_protocol:
            self._rows, self._rung_protocol = {}, rung_protocol
        for record in records:
            if record.number not in self._rows or self._rows[record.number][0] is not record:
                self._rows[record.number] = record, _row(record, rung_protocol)
                self._lines.pop(record.number, None)
        rows = [self._rows[record.number][1] for record in records]
        columns = list(dict.fromkeys(key for row in rows for key in row))
        if columns != self._columns:
            self._lines, self._columns = {}, columns
        for number, row in zip((record.number for record in records), rows, strict=True):
            if number not in self._lines:
                self._lines[number] = _line(row.get(column) for column in columns)
        return _line(columns) + "".join(self._lines[record.number] for record in records)


def _line(values: Iterable[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow(values)
    return text.getvalue()


def _row(record: TrialRecord, rung_protocol: Protocol | None) -> Mapping[str, Any]:
    """A trial's row of ``trials.csv``; empty where there is no value."""
    outcome = record.outcome
    row: dict[str, Any] = {
        "number": record.number,
        "ending": outcome.ending if outcome else "running",
        "score": record.value,
        **extra_metrics(record.score),
        "kimg": outcome.kimg if outcome else None,
        "budget_kimg": record.budget_kimg,
        "generator_steps": outcome.step if outcome else None,
        "seconds": round(outcome.seconds, 2) if outcome else None,
        "scoring_seconds": round(outcome.scoring_seconds, 2) if outcome else None,
        "computed_in": (outcome and outcome.computed_in) or None,
        "protocol": record.score.protocol.hash if record.score else None,
        "best_kimg": outcome.best_kimg if outcome else None,
        "verdict": outcome.verdict.sentence if outcome and outcome.verdict else None,
        "reason": why_ended(record) or None,
        "rung_protocol": rung_protocol.hash if rung_protocol and record.rungs else None,
    }
    rungs = {f"rung_{percent}": value for percent, value in sorted(record.rungs.items())}
    return {**row, **rungs, **record.params}
