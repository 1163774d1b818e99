"""A worker process: it warms up once, then trains one trial after the other on its device.

Started as ``python -m gantune.tuner.engines.worker FD`` and not through ``multiprocessing``, so
that a search started from a script or a notebook needs no ``__main__`` guard.
"""

import time
import traceback
from contextlib import ExitStack
from dataclasses import replace
from functools import partial

import torch

from gantune.config import Command, ExternalConfig, TrialConfig
from gantune.errors import ScoreError, TrainerError, TrainerExitError, is_disk_full
from gantune.events import LoggingBridge, Observer
from gantune.gan.device_support import is_out_of_memory
from gantune.gan.trainer import Trainer
from gantune.io.trust import allow_everything
from gantune.run_folder.run import RunFolder
from gantune.scores.features import Extractor
from gantune.trial import builtin, external
from gantune.trial.captured_output import redirect_output
from gantune.trial.process import Ready, TrialCrashed, WorkerConnection, connect
from gantune.trial.records import Answer, Assignment, Heartbeat, Outcome, Report, no_heartbeat
from gantune.trial.run import run_trial
from gantune.trial.scoring import (
    Further,
    ScorePolicy,
    load_further,
    load_real_images,
    make_evaluator,
    with_heartbeat,
)
from gantune.trial.session import Session
from gantune.tuner.engines.base import Task, crashed_outcome


def main() -> None:
    """Trains the driver's assignments until the connection closes."""
    connection = connect()
    allow_everything()  # the driver has checked what it sends
    serve(connection.receive(), connection)


def serve(task: Task, connection: WorkerConnection) -> None:
    """Warms up, reports that it is ready, and trains every assignment that arrives."""
    host = TrialHost(task, connection.heartbeat)
    connection.send(Ready(host.scoring_seconds))

    def ask_driver(report: Report) -> bool:
        connection.send(report)
        return bool(connection.receive())

    while True:
        assignment: Assignment = connection.receive()
        try:
            with LoggingBridge(connection):
                outcome = host.run(assignment, ask_driver, connection.heartbeat)
            connection.send(outcome)
        except (Exception, KeyboardInterrupt) as error:  # the trainer's own: Ctrl-C is ignored here
            connection.send(TrialCrashed(host.describe(error), is_disk_full(error)))


class TrialHost:
    """Trains assignments one after the other, with data and scores that are loaded once.

    Sends heartbeats through ``beat`` while it loads them.
    """

    def __init__(self, task: Task, beat: Heartbeat = no_heartbeat) -> None:
        torch.set_num_threads(task.threads)
        self._folder, self._device = RunFolder(task.folder), torch.device(task.device)
        self._config = task.warm_up
        self._policy = ScorePolicy(task.protocols.full)
        self.scoring_seconds = 0.0
        """Seconds that scoring took before the first trial."""
        if task.data is not None:
            self._real = load_real_images(task.data, progress=lambda *_: beat())
            begun = time.perf_counter()
            evaluator = make_evaluator(
                self._folder.extractor, self._real, task.protocols, self._device
            )
            self.scoring_seconds = time.perf_counter() - begun
            further = self._further(task, beat) if task.further else None
            self._policy = ScorePolicy(None, evaluator, self._real.learned, further)
        if isinstance(task.warm_up, TrialConfig):
            self._warm_up(task.warm_up, beat)

    def run(
        self, assignment: Assignment, answer: Answer, beat: Heartbeat, *, sends_files: bool = False
    ) -> Outcome:
        """Trains one assignment. A trainer that misuses its session has crashed: no other try is
        better. ``sends_files``: as in ``Session``."""
        folder = self._folder.trial(assignment.name)
        with ExitStack() as stack:
            if isinstance(self._config, TrialConfig):
                train = partial(builtin.train, real=self._real)
            else:
                stack.enter_context(redirect_output(folder.output))
                trainer = external.find_trainer(self._config.trainer)
                train = partial(external.train, trainer=trainer)
            policy = self._policy
            if assignment.kind == "trial":
                policy = replace(policy, further=None)
            session = Session(
                *(assignment, folder, self._device, policy, answer, beat), sends_files=sends_files
            )
            try:
                return run_trial(train, session)
            except TrainerExitError:
                raise
            except TrainerError as error:
                return crashed_outcome(folder, self.describe(error))

    def _further(self, task: Task, beat: Heartbeat) -> Further:
        def load() -> list[Extractor]:
            beat()
            return load_further(task.further, self._folder.extractor, self._device)

        first, observer = task.protocols.full, _Beats(beat)
        return Further(task.further, load, first, self._real, self._device, observer)

    def describe(self, error: BaseException) -> str:
        """The text of an error that is being handled: its traceback; of a command, which has none
        of its own, what was wrong with it."""
        config = self._config
        is_command = isinstance(config, ExternalConfig) and isinstance(config.trainer, Command)
        is_told = is_command and isinstance(error, TrainerError)
        return f"{error}\n" if is_told else traceback.format_exc()

    def _warm_up(self, config: TrialConfig, beat: Heartbeat) -> None:
        """Trains one step and takes one score, so that the first trial does not pay for the
        kernels."""
        assert self._policy.evaluator is not None
        short = config.model_copy(update={"kimg": config.batch_size / 1000})
        try:
            trainer = Trainer(short, self._real.learned, self._device)
            for _ in trainer:
                begun = time.perf_counter()
                self._policy.evaluator.score(with_heartbeat(trainer.sample, beat))
                self.scoring_seconds += time.perf_counter() - begun
        except Exception as error:
            if not isinstance(error, ScoreError) and not is_out_of_memory(error):
                raise  # the trial itself reports the other two


class _Beats(Observer):
    """Sends a heartbeat for whatever makes progress."""

    def __init__(self, beat: Heartbeat) -> None:
        self._beat = beat

    def progress(self, what: str, done: float, total: float, note: str = "") -> None:
        self._beat()


if __name__ == "__main__":
    main()
