"""``Session``: what surrounds one run of training: its files, its health, its scores, its end.

A trainer reports ticks and asks for scores; the session records them, judges them and says whether
to go on. It knows neither Optuna nor the engine: rungs go through one callable.
"""

from __future__ import annotations

import logging
import math
from pathlib import Path

import torch

from gantune.config import TrialConfig
from gantune.errors import CheckpointError, ScoreError
from gantune.gan.checkpoint import Checkpoint, make_generator
from gantune.gan.device_support import is_out_of_memory, peak_memory, release_memory
from gantune.gan.sampling import sample_images
from gantune.gan.tick import Tick
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.run_folder.trial import TrialFolder
from gantune.scores import RealImages
from gantune.scores.evaluator import Evaluator, Sample
from gantune.scores.score import Score
from gantune.trial.checkpoints import keep, restore_best, usable
from gantune.trial.monitored_run import Answer, BestCheckpoint, Course, Heartbeat, no_beat
from gantune.trial.pictures import draw_grid, draw_nearest
from gantune.trial.records import Assignment, Outcome, RungReport

_log = logging.getLogger(__name__)


class Session(Course):
    """One run of gantune's trainer, from its first tick or last checkpoint to its outcome."""

    def __init__(
        self,
        assignment: Assignment,
        folder: TrialFolder,
        evaluator: Evaluator,
        answer: Answer,
        start: Weights | None = None,
        beat: Heartbeat = no_beat,
    ) -> None:
        super().__init__(assignment, folder, answer, beat)
        assert isinstance(assignment.config, TrialConfig)
        self.config = assignment.config
        self._evaluator, self._start = evaluator, start

    def begin(self, trainer: Trainer) -> None:
        """Goes on from a checkpoint where there is one; else scores the generator as it begins.

        That is the untrained one, or another run's. Raises ``CheckpointError`` where that run's
        networks are not those of this one.
        """
        if self.goes_on(trainer):
            return
        if self._start is not None:
            trainer.start_from(self._start)
        self.folder.drop_checkpoints()
        self.folder.truncate_after(-math.inf)
        with self._scoring():
            score = self._evaluator.score(self._alive(trainer.sample))
        self._note(0.0, 0.0, score)

    def report(self, tick: Tick) -> None:
        """Records a tick and lets health judge it."""
        self.folder.add_tick(tick)
        self._judge(tick.signals())
        self._beat()

    def score_at_rung(self, trainer: Trainer) -> None:
        """At a rung: scores, keeps checkpoints and a sample grid, and asks whether to go on."""
        due = self._due(trainer.kimg)
        if not due or self.should_stop:
            return
        self._rungs = self._rungs[len(due) :]
        try:
            score = self._score_rung(trainer, due[-1])
        except ScoreError as error:  # the generator gives no numbers any more
            self._diverge(trainer.kimg, str(error))
            return
        self._ask(RungReport(due[-1], trainer.kimg, score), trainer.step, trainer.seconds)

    def conclude(self, trainer: Trainer) -> Outcome:
        """Scores the picked checkpoint under the full protocol, if the run has earned it."""
        score = None
        if self._ending in ("completed", "collapsed") and self._best is not None:
            score = self._score_picked(self._best, trainer)
        return Outcome(
            ending=self._ending,
            kimg=trainer.kimg,
            step=trainer.step,
            score=score,
            best_kimg=self._best.kimg if self._best else None,
            verdict=self._verdict,
            seconds=trainer.seconds,
            scoring_seconds=self.scoring_seconds,
        )

    def goes_on(self, trainer: Trainer) -> bool:
        """Goes on from ``last.pt``, or where that is damaged from ``previous.pt``; whether there
        was one that fits, with the best weights that its scores speak of."""
        for path, checkpoint in usable(self.folder, self.config, trainer.device):
            if self._takes(path, checkpoint, trainer):
                if path != self.folder.last:
                    _log.warning("%s goes on from the rung before", self.folder.path)
                    path.replace(self.folder.last)
                return True
        return False

    def _takes(self, path: Path, checkpoint: Checkpoint, trainer: Trainer) -> bool:
        best = self._best_until(checkpoint.kimg)
        if best is not None and restore_best(self.folder, best) is None:
            _log.warning("%s: the weights of %g kimg are lost", self.folder.best, best)
            return False
        try:
            trainer.load_state_dict(checkpoint.trainer)
        except CheckpointError as error:  # of another kind of device, or of other networks
            _log.warning("%s: %s; not used", path, error)
            return False
        self.folder.truncate_after(trainer.kimg)
        observed = [tick.signals() for tick in self.folder.ticks()]
        self._replay(observed, trainer.kimg, trainer.step, trainer.seconds)
        return True

    def _score_rung(self, trainer: Trainer, rung: float) -> Score:
        with self._scoring():
            score = self._evaluator.score(self._alive(trainer.sample))
            is_best = self._is_best(score)
            draw_grid(trainer.sample, trainer.device, self.folder.grid(trainer.kimg))
        self._note(rung, trainer.kimg, score)
        with self._scoring():
            keep(self.folder, trainer, is_best=is_best)
        return score

    def _score_picked(self, picked: BestCheckpoint, trainer: Trainer) -> Score | None:
        """The full score of the picked checkpoint; ``None``, and a verdict, where it has none."""
        try:
            with self._scoring():
                sample = self._picked_sample(picked, trainer.device)
                score = self._evaluator.score(self._alive(sample), full=True)
        except ScoreError as error:
            self._diverge(trainer.kimg, str(error))
            return None
        self._add_score(picked.kimg, None, score)
        with self._scoring():
            draw_nearest(sample, trainer.device, self._evaluator, self.folder.neighbours)
        return score

    def _picked_sample(self, picked: BestCheckpoint, device: torch.device) -> Sample:
        """Draws from the picked checkpoint. Raises ``CheckpointError`` where no file has it."""
        weights = restore_best(self.folder, picked.kimg)
        if weights is None:
            raise CheckpointError(
                f"{self.folder.best}: damaged or missing, and no other file has the weights of "
                f"{picked.kimg:g} kimg"
            )
        generator = make_generator(weights, self.folder.best, device)

        def sample(count: int, rng: torch.Generator) -> torch.Tensor:
            return sample_images(generator, count, rng)

        return sample


# ``run_trial``: trainer, health and scores joined. One run of training, wherever it runs.


def run_trial(session: Session, real: RealImages, device: torch.device) -> Outcome:
    """Trains ``session.config`` on ``real`` until its budget, a verdict or the driver ends it.

    Running out of memory is an outcome; every other error is raised.
    """
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    outcome = _run(session, real, device)
    if outcome.ending == "out_of_memory":
        release_memory(device)  # after the trainer and the error's traceback have let go of it
    return outcome


def _run(session: Session, real: RealImages, device: torch.device) -> Outcome:
    trainer = None
    try:
        trainer = Trainer(session.config, real.learned, device, real.held_out)
        trainer.on_batch = session.beat
        session.begin(trainer)
        for tick in () if session.should_stop else trainer:
            session.report(tick)
            session.score_at_rung(trainer)
            if session.should_stop:
                break
        return session.conclude(trainer)
    except (RuntimeError, MemoryError) as error:
        if not is_out_of_memory(error):
            raise
        return _out_of_memory(session, trainer, device)


def _out_of_memory(session: Session, trainer: Trainer | None, device: torch.device) -> Outcome:
    batch, parts = session.config.batch_size, session.config.accumulation
    shape = f"batch size {batch}"
    if parts > 1:
        shape += f" in {parts} parts of {batch // parts} images"
    whose = "" if device.type == "cuda" else " of this process"
    return Outcome(
        ending="out_of_memory",
        kimg=trainer.kimg if trainer else 0.0,
        step=trainer.step if trainer else 0,
        seconds=trainer.seconds if trainer else 0.0,
        scoring_seconds=session.scoring_seconds,
        error=f"out of memory on {device} at {shape}: peak {peak_memory(device):.2f} GiB{whose}; a "
        "smaller batch_size or network, or more accumulation, takes less",
    )
