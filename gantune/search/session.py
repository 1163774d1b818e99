"""``Session``: what surrounds one run of training: its files, its health, its scores, its end.

A trainer reports ticks and asks for scores; the session records them, judges them and says whether
to go on. It knows neither Optuna nor the engine: rungs go through one callable.
"""

from __future__ import annotations

import math

import torch

from gantune.config import TrialConfig
from gantune.errors import CheckpointError, ScoreError
from gantune.gan.checkpoint import (
    Weights,
    load_checkpoint,
    load_generator,
    save_checkpoint,
    save_weights,
)
from gantune.gan.grid import save_grid
from gantune.gan.memory import is_out_of_memory
from gantune.gan.sampling import sample_images
from gantune.gan.tick import Tick
from gantune.gan.trainer import Trainer
from gantune.scores.evaluator import Evaluator, Sample
from gantune.scores.neighbours import draw_neighbours
from gantune.scores.score import Score
from gantune.search.course import Answer, Beat, Course, Picked, no_beat
from gantune.search.folder import TrialFolder
from gantune.search.records import Assignment, Outcome, RungReport

__all__ = ["Session", "differences"]

_GRID_IMAGES = 64
_GRID_SEED = 0


class Session(Course):
    """One run of gantune's trainer, from its first tick or last checkpoint to its outcome."""

    def __init__(
        self,
        assignment: Assignment,
        folder: TrialFolder,
        evaluator: Evaluator,
        answer: Answer,
        start: Weights | None = None,
        beat: Beat = no_beat,
    ) -> None:
        super().__init__(assignment, folder, answer, beat)
        assert isinstance(assignment.config, TrialConfig)
        self.config = assignment.config
        self._evaluator, self._start = evaluator, start

    def begin(self, trainer: Trainer) -> None:
        """Goes on from ``last.pt`` where there is one; else scores the generator as it begins.

        That is the untrained one, or another run's. Raises ``CheckpointError`` where that run's
        networks are not those of this one.
        """
        if self.goes_on(trainer):
            return
        if self._start is not None:
            trainer.start_from(self._start)
        self.folder.cut_back(-math.inf)
        with self._scoring():
            score = self._evaluator.score(self._alive(trainer.sample))
        self._note(0.0, 0.0, score)

    def report(self, tick: Tick) -> None:
        """Records a tick and lets health judge it."""
        self.folder.add_tick(tick)
        self._judge(tick.signals())
        self._beat()

    def score_if_due(self, trainer: Trainer) -> None:
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
        """Goes on from ``last.pt``; whether there was one that fits."""
        try:
            checkpoint = load_checkpoint(self.folder.last, trainer.device)
            if differences(self.config, checkpoint.config):
                return False
            trainer.load_state_dict(checkpoint.trainer)
        except CheckpointError:  # missing, damaged, or of another kind of device
            return False
        self.folder.cut_back(trainer.kimg)
        observed = [tick.signals() for tick in self.folder.ticks()]
        self._replay(observed, trainer.kimg, trainer.step, trainer.seconds)
        return True

    def _score_rung(self, trainer: Trainer, rung: float) -> Score:
        with self._scoring():
            score = self._evaluator.score(self._alive(trainer.sample))
            if self._is_best(score):
                save_weights(self.folder.best, trainer)
            self._draw(trainer)
        self._note(rung, trainer.kimg, score)
        with self._scoring():
            save_checkpoint(self.folder.last, trainer)
        return score

    def _score_picked(self, picked: Picked, trainer: Trainer) -> Score | None:
        """The full score of the picked checkpoint; ``None``, and a verdict, where it has none."""
        try:
            with self._scoring():
                sample = self._picked_sample(trainer.device)
                score = self._evaluator.score(self._alive(sample), full=True)
        except ScoreError as error:
            self._diverge(trainer.kimg, str(error))
            return None
        self._add_score(picked.kimg, None, score)
        with self._scoring():
            self._draw_neighbours(sample, trainer.device)
        return score

    def _picked_sample(self, device: torch.device) -> Sample:
        """Draws from the picked checkpoint."""
        generator = load_generator(self.folder.best, device)

        def sample(count: int, rng: torch.Generator) -> torch.Tensor:
            return sample_images(generator, count, rng)

        return sample

    def _draw(self, trainer: Trainer) -> None:
        rng = torch.Generator(trainer.device).manual_seed(_GRID_SEED)
        save_grid(trainer.sample(_GRID_IMAGES, rng), self.folder.grid(trainer.kimg))

    def _draw_neighbours(self, sample: Sample, device: torch.device) -> None:
        """Draws them if they can be drawn: a scored run is no worse without the picture."""
        try:
            samples = sample(_GRID_IMAGES, torch.Generator(device).manual_seed(_GRID_SEED))
            if samples.ndim == 4:  # points have no picture
                draw_neighbours(self._evaluator, samples, self.folder.neighbours)
        except (ScoreError, RuntimeError, MemoryError) as error:
            if not isinstance(error, ScoreError) and not is_out_of_memory(error):
                raise


def differences(config: TrialConfig, earlier: TrialConfig) -> list[str]:
    """What keeps a run from going on: all that is not as it was, but its length."""
    now, before = (c.model_dump(exclude={"kimg"}) for c in (config, earlier))
    return [f"{key}: {before[key]} -> {now[key]}" for key in now if now[key] != before[key]]
