"""A worker process: it warms up once, then trains one trial after the other on its device.

Started as ``python -m gantune.tuner.engines.worker FD`` and not through ``multiprocessing``, so
that a search started from a script or a notebook needs no ``__main__`` guard.
"""

import time
import traceback
from functools import partial
from typing import Literal, Protocol

import torch

from gantune.config import ExternalConfig, TrialConfig
from gantune.errors import ScoreError, is_disk_full
from gantune.events import LoggingBridge
from gantune.gan.device_support import is_out_of_memory
from gantune.gan.trainer import Trainer
from gantune.run_folder.run import RunFolder
from gantune.scores import RealImages
from gantune.trial import builtin, external
from gantune.trial.captured_output import redirect_output
from gantune.trial.records import Assignment, Outcome, RungReport
from gantune.trial.scoring import ScorePolicy, load_real_images, make_evaluator, with_heartbeat
from gantune.trial.session import Answer, Heartbeat, Session, no_heartbeat, run_trial
from gantune.tuner.engines.base import Task
from gantune.tuner.engines.process import (
    Ready,
    RungReached,
    TrialCrashed,
    TrialFinished,
    WorkerConnection,
    connect,
)


def main() -> None:
    """Trains the driver's assignments until the connection closes."""
    connection = connect()
    serve(connection.receive(), connection)


def serve(task: Task, connection: WorkerConnection) -> None:
    """Warms up, reports that it is ready, and trains every assignment that arrives."""
    host = make_trial_host(task, connection.heartbeat)
    connection.send(Ready(host.scoring_seconds))
    while True:
        assignment: Assignment = connection.receive()
        name = assignment.name

        def ask_driver(report: RungReport, name: str = name) -> bool:
            connection.send(RungReached(name, report))
            return bool(connection.receive())

        try:
            with LoggingBridge(connection):
                outcome = host.run(assignment, ask_driver, connection.heartbeat)
            connection.send(TrialFinished(name, outcome))
        except OSError as error:
            kind: Literal["error", "disk"] = "disk" if is_disk_full(error) else "error"
            connection.send(TrialCrashed(name, kind, traceback.format_exc()))
        except (Exception, KeyboardInterrupt):  # the trainer's own: Ctrl-C is ignored here
            connection.send(TrialCrashed(name, "error", traceback.format_exc()))


class TrialHost(Protocol):
    """Trains assignments one after the other, with data and scores that are loaded once."""

    scoring_seconds: float
    """Seconds that scoring took before the first trial."""

    def run(self, assignment: Assignment, answer: Answer, beat: Heartbeat) -> Outcome:
        """Trains one assignment."""


def make_trial_host(task: Task, beat: Heartbeat = no_heartbeat) -> TrialHost:
    """The warm host for gantune's trainer or for an external one; sends heartbeats meanwhile."""
    torch.set_num_threads(task.threads)
    if isinstance(task.warm_up, ExternalConfig):
        return _ExternalHost(task, task.warm_up, beat)
    return _BuiltinHost(task, task.warm_up, beat)


class _Scores:
    """The real images and the evaluator that scores samples against them."""

    def __init__(self, task: Task, device: torch.device, beat: Heartbeat) -> None:
        assert task.data is not None
        self.real: RealImages = load_real_images(task.data, progress=lambda *_: beat())
        begun = time.perf_counter()
        extractor = RunFolder(task.folder).extractor
        self.evaluator = make_evaluator(extractor, self.real, task.protocols, device)
        self.seconds = time.perf_counter() - begun


class _BuiltinHost:
    def __init__(self, task: Task, config: TrialConfig, beat: Heartbeat) -> None:
        self._folder, self._device = RunFolder(task.folder), torch.device(task.device)
        scores = _Scores(task, self._device, beat)
        self._policy = ScorePolicy(None, scores.evaluator, scores.real.learned)
        self._train = partial(builtin.train, real=scores.real)
        self.scoring_seconds = scores.seconds + _warm_up(config, scores, self._device, beat)

    def run(self, assignment: Assignment, answer: Answer, beat: Heartbeat) -> Outcome:
        folder = self._folder.trial(assignment.name)
        session = Session(assignment, folder, self._device, self._policy, answer, beat)
        return run_trial(self._train, session)


class _ExternalHost:
    def __init__(self, task: Task, config: ExternalConfig, beat: Heartbeat) -> None:
        self._folder, self._device = RunFolder(task.folder), torch.device(task.device)
        self._name, self.scoring_seconds = config.trainer, 0.0
        if task.data is None:
            self._policy = ScorePolicy(task.protocols.full)
        else:
            scores = _Scores(task, self._device, beat)
            self._policy = ScorePolicy(None, scores.evaluator, scores.real.learned)
            self.scoring_seconds = scores.seconds

    def run(self, assignment: Assignment, answer: Answer, beat: Heartbeat) -> Outcome:
        folder = self._folder.trial(assignment.name)
        with redirect_output(folder.output):
            train = partial(external.train, trainer=external.find_trainer(self._name))
            session = Session(assignment, folder, self._device, self._policy, answer, beat)
            return run_trial(train, session)


def _warm_up(config: TrialConfig, scores: _Scores, device: torch.device, beat: Heartbeat) -> float:
    """Trains one step and takes one score, so that the first trial does not pay for the kernels.

    Returns the score's seconds, 0 if it cannot be taken.
    """
    seconds = 0.0
    short = config.model_copy(update={"kimg": config.batch_size / 1000})
    try:
        trainer = Trainer(short, scores.real.learned, device)
        for _ in trainer:
            begun = time.perf_counter()
            scores.evaluator.score(with_heartbeat(trainer.sample, beat))
            seconds += time.perf_counter() - begun
    except Exception as error:
        if not isinstance(error, ScoreError) and not is_out_of_memory(error):
            raise  # the trial itself reports the other two
    return seconds


if __name__ == "__main__":
    main()
