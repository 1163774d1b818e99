"""``TrialHost``: a worker's place to train on, with all that its trials share."""

from __future__ import annotations

import time
from functools import partial
from typing import Protocol

import torch

from gantune.config import ExternalConfig, TrialConfig
from gantune.errors import ScoreError
from gantune.gan.device_support import is_out_of_memory
from gantune.gan.trainer import Trainer
from gantune.run_folder.run import RunFolder
from gantune.scores import RealImages
from gantune.trial import builtin, external
from gantune.trial.captured_output import redirect_output
from gantune.trial.records import Assignment, Outcome
from gantune.trial.scoring import ScorePolicy, load_real_images, make_evaluator, with_heartbeat
from gantune.trial.session import Answer, Heartbeat, Session, no_heartbeat, run_trial
from gantune.tuner.engines.messages import Task


class TrialHost(Protocol):
    """Trains what it is given, one run after the other."""

    scoring_seconds: float
    """What scoring took before the first run."""

    def run(self, assignment: Assignment, answer: Answer, beat: Heartbeat) -> Outcome:
        """One run of training, to its outcome."""


def make_bench(task: Task, beat: Heartbeat = no_heartbeat) -> TrialHost:
    """The bench of gantune's trainer, or of the user's own, warmed up, with signs of life."""
    torch.set_num_threads(task.threads)
    if isinstance(task.warm_up, ExternalConfig):
        return _OwnBench(task, task.warm_up, beat)
    return _CoreBench(task, task.warm_up, beat)


class _Scores:
    """The real images and what scores samples against them, read once."""

    def __init__(self, task: Task, device: torch.device, beat: Heartbeat) -> None:
        assert task.data is not None
        self.real: RealImages = load_real_images(task.data, progress=lambda *_: beat())
        begun = time.perf_counter()
        extractor = RunFolder(task.folder).extractor
        self.evaluator = make_evaluator(extractor, self.real, task.protocols, device)
        self.seconds = time.perf_counter() - begun


class _CoreBench:
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


class _OwnBench:
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
    """One step of training and one score, so that the first trial does not pay for the kernels;
    the score's seconds, 0 where it cannot be taken."""
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
            raise  # the other two the trial itself will say
    return seconds
