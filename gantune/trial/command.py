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
from pathlib import Path
from statistics import fmean
from typing import Any

import torch

from gantune.config import Command
from gantune.errors import LogError, TrainerError, TrainerExitError, TrialStopped
from gantune.health.logs import Columns, Record
from gantune.health.logs.following import FollowedLog
from gantune.health.logs.formats import Lines
from gantune.health.logs.log import Log
from gantune.io.commands import RunningCommand, adopting_orphans
from gantune.io.processes import describe_exit
from gantune.trial.command_files import CommandFiles
from gantune.trial.command_scores import ColumnScores, CommandScores, ImageScores
from gantune.trial.session import Session

_log = logging.getLogger(__name__)

_REPORTS = 1000  # of a run at most; more records are averaged
_NEARLY = 0.9  # of its length: a command that ends there by itself has trained it
_OVERRUN = 1.25  # times its length, after which a score never comes
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
        self._log: FollowedLog | Log
        self._process: RunningCommand
        self._problem = ""
        """Why the log could not be read."""
        self._group: str | None = None
        """The first pair of players of a log that has several."""
        self._waiting: dict[str, list[float]] = defaultdict(list)
        """The values since the last report."""
        self._beaten = 0.0
        self._at = self._start
        """Place of the last of them, kimg."""

    def train(self) -> None:
        """Runs the command to its end, or until the session stops it."""
        line = self._files.command_line(resumes=self._start > 0)
        is_printed = self._command.log == "output"
        named, optional = self._columns
        columns = Columns(named, optional=optional)
        if not is_printed:
            pattern = self._files.path(self._command.log)
            self._log = FollowedLog(pattern, columns, self._wait)
        with adopting_orphans():
            os.write(1, f"$ {shlex.join(line)}\n".encode(errors="replace"))
            try:
                self._process = RunningCommand(
                    line,
                    self._files.working_folder,
                    self._environment(),
                    grace=self._command.grace,
                    is_read=is_printed,
                )
            except OSError as error:
                raise TrainerError(f"{line[0]!r} cannot be started: {error}") from None
            with self._process:
                if is_printed:
                    self._log = Log("output", Lines(self), columns, None)
                self._scores = self._make_scores()
                self._follow()
                self._end()

    def _make_scores(self) -> CommandScores:
        score, session, process = self._command.score, self._session, self._process
        assert score is not None
        if score.images is not None:
            return ImageScores(self._files.path(score.images), session, process, self._may_end)
        return ColumnScores(score, self._files, session, process, self._kimg_of, self._may_end)

    @property
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
            self._problem = str(error)

    def read1(self, size: int) -> bytes:
        """What the command has printed since the last call, as a stream has it."""
        while (printed := self._process.read()) is None:
            self._wait()
        self._beat()
        return printed

    def _beat(self) -> None:
        """Output is a sign of life."""
        now = time.monotonic()
        if now - self._beaten >= 1 and now - self._process.last_output < 1:
            self._beaten = now
            self._session.heartbeat()

    def _wait(self) -> bool:
        """Waits a moment; whether the command still runs."""
        is_running = self._process.is_running
        if is_running:
            self._process.wait()
            self._beat()
        self._report_if_due()
        self._scores.take(self._log_path)
        self._stop_where_done()
        return is_running

    def _take(self, record: Record) -> None:
        """Keeps a record for the next report, and reports where one is due."""
        at = self._kimg_of(record)
        if at < self._at or at == self._start > 0:
            return  # it was judged before the run was resumed
        if at > self._at:
            self._report_if_due()
        self._at = at
        values = dict(record.values)
        if "score" in self._columns[0] and "score" in values:
            self._scores.add(at, values.pop("score"))
        if self._group is None:
            self._group = record.group
        for name, value in values.items():
            is_other = record.group not in ("", self._group)
            self._waiting[f"{name}[{record.group}]" if is_other else name].append(value)
        is_odd = any(not math.isfinite(value) for value in values.values())
        if self._scores.is_waiting or is_odd:
            self._report()

    def _report_if_due(self) -> None:
        if not self._waiting:
            return
        is_due = self._at - self._session.kimg >= self._budget / _REPORTS
        if is_due or not self._session.has_reports or self._at >= self._budget:
            self._report()

    def _report(self) -> None:
        """Reports the mean of the values since the last report."""
        waiting, self._waiting = self._waiting, defaultdict(list)
        if waiting or self._at > self._session.kimg:
            if self._at > _OVERRUN * self._budget:
                raise TrainerError(
                    f"the log is at {self._at:g} kimg, past the run's {self._budget:g}, without "
                    f"a score: {self._missing_score()}"
                )
            means = {name: fmean(values) for name, values in waiting.items()}
            self._session.report(kimg=self._at, **means)
        self._scores.take(self._log_path)
        self._stop_where_done()

    def _stop_where_done(self) -> None:
        if self._session.should_stop:
            raise TrialStopped("the run is stopped")

    @property
    def _log_path(self) -> Path | None:
        return self._log.path if isinstance(self._log, FollowedLog) else None

    def _kimg_of(self, record: Record) -> float:
        """The place of a record, thousands of real images. Raises ``TrainerError``."""
        before = self._start if self._command.resumes_at_zero else 0.0
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
        if not self._command.knows_length or self._session.kimg < self._budget:
            return
        end = time.monotonic() + self._command.grace
        while self._process.is_running and time.monotonic() < end:
            self._process.wait()

    # ---- Its end --------------------------------------------------------------------------

    def _end(self) -> None:
        """Takes what is left once the log has ended. Raises an error where the command failed or
        has no score."""
        session, process = self._session, self._process
        while process.is_running:  # it has closed its output
            self._wait()
        self._report()  # what failed may have printed why, such as a loss that is not a number
        if process.exit_code:
            self._fail(process.exit_code)
        if not session.has_reports:
            why = self._problem or "its log holds nothing that can be judged"
            raise TrainerError(f"the command ended, but {why}")
        if _NEARLY * self._budget <= session.kimg < self._budget:
            session.report(kimg=self._budget)
        elif session.kimg < self._budget:
            _log.warning(
                "%s: the command ended at %g of %g kimg; tell it its length as {kimg}, {steps} or "
                "{epochs}",
                session.folder.path,
                session.kimg,
                self._budget,
            )
        self._scores.take(self._log_path, at_end=True)
        if not session.should_stop and session.judge.final_score is None:
            raise TrainerError(f"the command ended without a score: {self._missing_score()}")

    def _missing_score(self) -> str:
        log = self._log.log if isinstance(self._log, FollowedLog) else self._log
        return self._scores.explain_missing([] if log is None else log.names)

    def _fail(self, code: int) -> None:
        lines = self._process.tail.splitlines()[-_SHOWN:]
        said = "\n".join(f"  {line[:300]}" for line in lines) or "  nothing"
        what = f"the command failed with {describe_exit(code)}; it printed last:\n{said}"
        if any(text in said for text in _OUT_OF_MEMORY):
            raise MemoryError(what)
        has_trained = self._session.kimg > self._start
        raise (TrainerExitError if has_trained else TrainerError)(what)
