"""A trainer that is started by its command line: its process, its log, and its end."""

from __future__ import annotations

import logging
import math
import os
import shlex
import shutil
import time
from collections import defaultdict
from collections.abc import Mapping
from glob import escape
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from gantune.config import Command
from gantune.config.command import OUTPUT
from gantune.errors import LogError, TrainerError, TrainerExitError, TrialStopped
from gantune.health.logs import Columns, Record
from gantune.health.logs.following import FollowedLog
from gantune.health.logs.log import EARLY
from gantune.health.logs.records import SETTINGS
from gantune.io.commands import RunningCommand, adopting_orphans
from gantune.io.processes import describe_exit
from gantune.trial.checkpoint_files import PRINTED
from gantune.trial.command_files import CommandFiles
from gantune.trial.command_scores import NEARLY, ColumnScores, CommandScores, ImageScores
from gantune.trial.session import Session
from gantune.trial.trainer_input import OVERRUN

_log = logging.getLogger(__name__)

_REPORTS = 1000  # of a run, about; of more records neighbours are averaged
_MOST_PRINTED = 2**30  # bytes, where the log is what is printed
_LATE_LOG = 60.0  # seconds after which a log that is not there is told
_LATE_SCORE = 0.2  # of the run's length, after which a score that does not come is told
_SHOWN = 12  # lines of output in an error
_OUT_OF_MEMORY = ("out of memory", "OutOfMemoryError", "CUBLAS_STATUS_ALLOC_FAILED")
_INTERPRETERS = ("python", "python3", "torchrun")


def train_command(settings: dict[str, Any], session: Session, *, command: Command) -> None:
    """Starts the command, reports what its log says until it ends or is stopped, and scores it.

    Raises ``TrainerError`` where it cannot be started, or has no log or no score;
    ``TrainerExitError`` where it fails after it has begun to train; ``MemoryError`` where it had
    too little memory.
    """
    _Run(command, settings, session).train()


def check_program(command: Command) -> None:
    """Raises ``TrainerError`` where the program of a command, its script or its working folder is
    not there. One that a setting names is found when it is started."""
    folder = Path(command.working_folder or Path.cwd())
    if not folder.is_dir():
        raise TrainerError(f"working_folder: {folder}: no such folder")
    if command.shell:
        return
    program, *others = command.arguments
    if "{" in program:
        return
    place = str(folder / program) if "/" in program else program
    if shutil.which(place, path=command.environment.get("PATH")) is None:
        where = f"in {folder}" if "/" in program else "on the PATH"
        raise TrainerError(f"{program!r} is no program {where}")
    script = next((word for word in others if not word.startswith("-")), "")
    is_script = Path(program).name.startswith(_INTERPRETERS) and script.endswith(".py")
    if is_script and "{" not in script and not (folder / script).is_file():
        raise TrainerError(f"{script}: no such file in {folder}; set working_folder to its folder")


class _Run:
    """One run of a command."""

    def __init__(self, command: Command, settings: Mapping[str, Any], session: Session) -> None:
        self._command, self._settings, self._session = command, settings, session
        self._budget, self._start = session.config.kimg, session.kimg
        self._files = CommandFiles(command, settings, session)
        self._log: FollowedLog
        self._process: RunningCommand
        self._named, optional = self._columns()
        self._known = Columns(self._named, optional=optional)
        self._problem = ""
        """Why the log could not be read."""
        self._group: str | None = None
        """The first pair of players of a log that has several."""
        self._has_begun = False
        """Whether there was a record of this start of the command."""
        self._records = 0
        self._told: set[str] = set()
        """The warnings that were given."""
        self._waiting: dict[str, list[float]] = defaultdict(list)
        """The values since the last report."""
        self._beaten, self._begun = 0.0, time.monotonic()
        self._at = self._start
        """Place of the last of them, kimg."""

    def train(self) -> None:
        """Runs the command to its end, or until the session stops it."""
        line = self._files.command_line(resumes=self._start > 0)
        is_printed = self._command.log == OUTPUT
        output = self._files.folder / PRINTED if is_printed else None
        pattern = self._files.path(self._command.log) if output is None else escape(str(output))
        self._log = FollowedLog(pattern, self._known, self._wait)
        self._scores = self._make_scores()
        os.write(1, f"$ {shlex.join(line)}\n".encode(errors="replace"))
        with adopting_orphans():
            try:
                self._process = RunningCommand(
                    line,
                    self._files.working_folder,
                    self._environment(),
                    grace=self._command.grace,
                    output=output,
                    beat=self._session.heartbeat,
                )
            except OSError as error:
                raise TrainerError(f"{line[0]!r} cannot be started: {error}") from None
            with self._process as self._scores.process:
                self._follow()
                self._end()

    def _make_scores(self) -> CommandScores:
        score = self._command.score
        assert score is not None
        if score.images is not None:
            return ImageScores(self._files.path(score.images), self._session, self._may_end)
        return ColumnScores(score, self._files, self._session, self._place_of, self._may_end)

    def _columns(self) -> tuple[dict[str, str], tuple[str, ...]]:
        """The named columns of the log, and those among them that it may lack."""
        score = self._command.score
        if score is None or score.column is None or score.file is not None:
            return dict(self._command.columns), ()
        return {**self._command.columns, "score": score.column}, ("score",)

    def _environment(self) -> dict[str, str]:
        device = self._session.device
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        environment.setdefault("OMP_NUM_THREADS", str(torch.get_num_threads()))
        if device.type == "cuda":
            devices = [d for d in os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",") if d]
            index = device.index or 0
            environment["CUDA_VISIBLE_DEVICES"] = devices[index] if devices else str(index)
        elif torch.cuda.is_available():  # the user has asked for the CPU
            environment["CUDA_VISIBLE_DEVICES"] = ""
        return environment | self._files.environment()

    # ---- While it runs --------------------------------------------------------------------

    def _follow(self) -> None:
        """Reports the records of the log until it ends."""
        try:
            for record in self._log:
                self._take(record)
        except LogError as error:
            self._problem = _remedy_in_a_space(str(error))

    def _wait(self) -> bool:
        """Waits a moment; whether the command still runs. Its output is a sign of life."""
        process = self._process
        is_running = process.is_running
        if is_running:
            process.wait()
            now = time.monotonic()
            if now - process.last_output < 1 <= now - self._beaten:
                self._beaten = now
                self._session.heartbeat()
        if self._command.log == OUTPUT and process.printed > _MOST_PRINTED:
            raise TrainerError(
                f"the command has printed more than {_MOST_PRINTED >> 30} GiB; let it print less, "
                "or write its log into a file"
            )
        self._check_early()
        if self._log.path is None and time.monotonic() - self._begun > _LATE_LOG:
            self._warn(f"no file matches log: {self._log.pattern}")
        self._report_if_due()
        self._take_scores()
        return is_running

    @property
    def _counts_records(self) -> bool:
        return self._command.images_per("record", self._settings) is not None

    def _check_early(self) -> None:
        """Raises ``TrainerError`` where the first lines of a file have nothing to judge: its run
        would be trained to its end for nothing."""
        log = self._log.log
        if self._has_begun or log is None or self._command.log == OUTPUT or log.lines < EARLY:
            return
        if not log.suffices:
            raise TrainerError(_remedy_in_a_space(f"{log.name}: {log.explain()}"))

    def _take(self, record: Record) -> None:
        """Keeps a record for the next report."""
        if record.unit == "record" and record.at <= SETTINGS and not self._counts_records:
            return  # maybe settings, which are printed before the first record
        at = self._place_of(record, is_new=self._log.is_new)
        if at < self._at and not self._session.has_reports:
            self._forget()  # what was taken for a first record were settings, such as `epoch: 20`
        elif at < self._at or at == self._start > 0:
            return  # it was judged before the run was resumed
        self._has_begun = True
        self._records += 1
        if at > self._at:
            self._report_if_due()
        self._at, values = at, dict(record.values)
        if self._group is None:
            self._group = record.group
        is_other = record.group not in ("", self._group)
        score = values.pop("score", None) if "score" in self._named else None
        if score is not None and not is_other:
            self._scores.add(at, score)
        for name, value in values.items():
            self._waiting[f"{name}[{record.group}]" if is_other else name].append(value)
        if any(not math.isfinite(value) for value in values.values()):
            self._report()

    def _report_if_due(self) -> None:
        if not self._waiting:
            return
        is_due = self._at - self._session.kimg >= self._budget / _REPORTS
        is_first = not self._session.has_reports and self._records > 1
        if (is_due and self._session.has_reports) or is_first or self._at >= self._budget:
            self._report()

    def _forget(self) -> None:
        """Forgets the records that were not reported."""
        self._waiting.clear()
        self._scores.forget()

    def _report(self) -> None:
        """Reports the mean of the values since the last report."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        if waiting:
            if self._session.kimg > OVERRUN * self._budget:
                raise TrainerError(
                    f"the log is at {self._at:g} kimg, past the run's {self._budget:g}, without "
                    f"a score: {self._missing_score()}"
                )
            means = {name: fmean(values) for name, values in waiting.items()}
            if "step" in waiting:  # a count
                means["step"] = waiting["step"][-1]
            self._session.report(kimg=self._at, **means)
        self._take_scores()
        due, kimg = self._session.due_kimg, self._session.kimg
        if 0 < due < kimg - _LATE_SCORE * self._budget:
            self._warn(f"no score since the rung at {due:g} kimg: {self._missing_score()}")

    def _warn(self, text: str) -> None:
        """Warns once."""
        if text not in self._told:
            self._told.add(text)
            _log.warning("%s: %s", self._session.folder.path, text)

    def _take_scores(self, *, at_end: bool = False) -> None:
        self._scores.take(self._log.path, at_end=at_end)
        if self._session.should_stop:
            raise TrialStopped("the run is stopped")

    def _place_of(self, record: Record, *, is_new: bool) -> float:
        """The place of a record, thousands of real images. Raises ``TrainerError``.

        ``is_new``: it is of a file that was begun by this start of the command.
        """
        counts_anew = self._command.resumes_at_zero or (is_new and record.unit == "record")
        before = self._start if counts_anew else 0.0
        if record.unit == "kimg":
            return before + record.at
        images = self._command.images_per(record.unit, self._settings)
        if images is None:
            raise TrainerError(self._explain_unit(record.unit))
        return before + record.at * images / 1000

    def _explain_unit(self, unit: str) -> str:
        if unit == "record":
            return (
                "the log says no place: name the column that counts, such as columns: {step: NAME} "
                "in the space, or the images between two records, as images_per_record"
            )
        batches = [name for name in self._settings if "batch" in name.lower()]
        example = f"'{{{batches[0]}}}'" if batches else "64"
        example = "60000" if unit == "epoch" else example
        return (
            f"the log counts {unit}s, and a run's length is in kimg: add images_per_{unit} to the "
            f"space, such as images_per_{unit}: {example}"
        )

    def _may_end(self) -> None:
        """Lets a command that knows its length end by itself before its last rung is copied: it may
        still be writing its last checkpoint."""
        if self._command.knows_length and self._session.kimg >= self._budget:
            self._process.wait_for_end()

    # ---- Its end --------------------------------------------------------------------------

    def _end(self) -> None:
        """Takes what is left once the log has ended. Raises an error where the command failed, has
        written nothing new or has no score."""
        session, process = self._session, self._process
        while process.is_running:  # its log cannot be read
            self._wait()
        self._report()  # what failed may have printed why, such as a loss that is not a number
        if process.exit_code:
            self._fail(process.exit_code)
        if not self._has_begun:
            after = f" after {self._start:g} kimg" if self._start else ""
            why = self._problem or "its log holds nothing that can be judged"
            if self._command.log == OUTPUT and not process.printed:
                why = "it printed nothing"
            raise TrainerError(f"the command ended without a record{after}: {why}")
        if self._problem:
            self._warn(self._problem)
        elif self._log.log is not None and "d_loss" not in self._log.log.measured:
            self._warn("D's loss is not in the log, so the rules that read it judge nothing")
        if NEARLY * self._budget <= session.kimg < self._budget:
            session.report(kimg=self._budget)
        elif session.kimg < self._budget:
            self._warn(
                f"the command ended at {session.kimg:g} of {self._budget:g} kimg; tell it its "
                "length as {kimg}, {steps} or {epochs}"
            )
        self._take_scores(at_end=True)
        if session.judge.final_score is None:
            raise TrainerError(f"the command ended without a score: {self._missing_score()}")

    def _missing_score(self) -> str:
        log = self._log.log
        return self._scores.explain_missing([] if log is None else log.names)

    def _fail(self, code: int) -> None:
        lines = self._process.tail.splitlines()[-_SHOWN:]
        said = "\n".join(f"  {line[:300]}" for line in lines)
        last = f": {lines[-1].strip()[:200]}" if lines else ", and printed nothing"
        what = f"it printed last:\n{said}\n" if len(lines) > 1 else ""
        what += f"the command failed with {describe_exit(code)}{last}"
        if any(text in said for text in _OUT_OF_MEMORY):
            raise MemoryError(what)
        raise (TrainerExitError if self._has_begun else TrainerError)(what)


def _remedy_in_a_space(text: str) -> str:
    """A message on a log, with the remedy that a space has in place of that of ``diagnose``."""
    found, option, _ = text.rpartition(" --columns ")
    if not option:
        return text
    return f"{found.rpartition('; ')[0]}; name them in the space, such as columns: {{d_loss: NAME}}"
