"""``Session``: what surrounds one run of training: its files, its health, its scores, its end.

A trainer reports ticks and asks for scores; the session records them, judges them and says whether
to go on. It knows neither Optuna nor the engine: rungs go through one callable.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

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
from gantune.health import HealthMonitor, Verdict
from gantune.scores.evaluator import Evaluator, Sample
from gantune.scores.neighbours import draw_neighbours
from gantune.scores.score import Score
from gantune.search.folder import TrialFolder
from gantune.search.records import Assignment, Ending, Outcome, RungReport
from gantune.search.same_protocol import read_score

__all__ = ["Session", "differences"]

_GRID_IMAGES = 64
_GRID_SEED = 0


@dataclass(frozen=True)
class _Checkpoint:
    value: float
    kimg: float


class Session:
    """One run of training, from its first tick or its last checkpoint to its outcome."""

    def __init__(
        self,
        assignment: Assignment,
        folder: TrialFolder,
        evaluator: Evaluator,
        answer: Callable[[RungReport], bool],
        start: Weights | None = None,
    ) -> None:
        config = assignment.config
        self.config, self.folder = config, folder
        self.scoring_seconds = 0.0
        self._evaluator, self._answer, self._start = evaluator, answer, start
        self._monitor = HealthMonitor(
            config.loss,
            preset=assignment.stability,
            budget_kimg=config.kimg,
            label_smoothing=config.label_smoothing,
        )
        self._rungs = list(assignment.rungs)
        self._verdict: Verdict | None = None
        self._is_pruned = False
        self._best: _Checkpoint | None = None

    @property
    def should_stop(self) -> bool:
        """Whether health has given a verdict or the driver has said no."""
        return self._verdict is not None or self._is_pruned

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
            score = self._evaluator.score(trainer.sample)
        self._note(0.0, 0.0, score)

    def report(self, tick: Tick) -> None:
        """Records a tick and lets health judge it."""
        self.folder.add_tick(tick)
        self._judge(tick)

    def score_if_due(self, trainer: Trainer) -> None:
        """At a rung: scores, keeps checkpoints and a sample grid, and asks whether to go on."""
        due = [rung for rung in self._rungs if self._is_due(rung, trainer)]
        if not due or self.should_stop:
            return
        self._rungs = self._rungs[len(due) :]
        try:
            score = self._score_rung(trainer, due[-1])
        except ScoreError as error:  # the generator gives no numbers any more
            self._verdict = _no_numbers(trainer.kimg, error)
            return
        if self._verdict is None:
            self._is_pruned = not self._answer(RungReport(due[-1], trainer.kimg, score))

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

    @property
    def _ending(self) -> Ending:
        if self._verdict is not None:
            return self._verdict.kind
        return "pruned" if self._is_pruned else "completed"

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
        for tick in self.folder.ticks():
            self._judge(tick)
        last = None
        for line in self.folder.scores():
            rung, kimg = line["rung"], line["kimg"]
            self.scoring_seconds = line["scoring_seconds"]
            if rung is not None:
                last = RungReport(rung, kimg, read_score(self.folder.path, line))
                self._take(rung, kimg, last.score)
        self._rungs = [rung for rung in self._rungs if not self._is_due(rung, trainer)]
        if last is not None and last.rung > 0 and self._verdict is None:
            self._is_pruned = not self._answer(last)  # the end may have come before the answer
        return True

    def _score_rung(self, trainer: Trainer, rung: float) -> Score:
        with self._scoring():
            score = self._evaluator.score(trainer.sample)
            if self._best is None or score.value < self._best.value:
                save_weights(self.folder.best, trainer)
            self._draw(trainer)
        self._note(rung, trainer.kimg, score)
        with self._scoring():
            save_checkpoint(self.folder.last, trainer)
        return score

    def _score_picked(self, picked: _Checkpoint, trainer: Trainer) -> Score | None:
        """The full score of the picked checkpoint; ``None``, and a verdict, where it has none."""
        try:
            with self._scoring():
                sample = self._picked_sample(trainer.device)
                score = self._evaluator.score(sample, full=True)
        except ScoreError as error:
            self._verdict = _no_numbers(trainer.kimg, error)
            return None
        self._add_score(picked.kimg, None, score)
        with self._scoring():
            self._draw_neighbours(sample, trainer.device)
        return score

    def _is_due(self, rung: float, trainer: Trainer) -> bool:
        return trainer.images_seen >= round(1000 * rung * self.config.kimg)

    def _note(self, rung: float, kimg: float, score: Score) -> None:
        self._add_score(kimg, rung, score)
        self._take(rung, kimg, score)

    def _add_score(self, kimg: float, rung: float | None, score: Score) -> None:
        line = {"kimg": kimg, "rung": rung, "scoring_seconds": self.scoring_seconds}
        self.folder.add_score(line | score.to_dict())

    def _take(self, rung: float, kimg: float, score: Score) -> None:
        if rung > 0 and (self._best is None or score.value < self._best.value):
            self._best = _Checkpoint(score.value, kimg)
        if rung == 0 and self.folder.start.exists():
            return  # health measures progress from an untrained generator; this one was trained
        verdict = self._monitor.observe_score(kimg=kimg, score=score.value, spread=score.spread)
        self._verdict = self._verdict or verdict

    def _judge(self, tick: Tick) -> None:
        self._verdict = self._verdict or self._monitor.observe(**tick.signals())

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

    @contextmanager
    def _scoring(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.scoring_seconds += time.perf_counter() - begun


def _no_numbers(kimg: float, error: ScoreError) -> Verdict:
    """Of a generator that gives no numbers any more."""
    return Verdict("diverged", "non_finite", kimg, str(error), since=kimg)


def differences(config: TrialConfig, earlier: TrialConfig) -> list[str]:
    """What keeps a run from going on: all that is not as it was, but its length."""
    now, before = (c.model_dump(exclude={"kimg"}) for c in (config, earlier))
    return [f"{key}: {before[key]} -> {now[key]}" for key in now if now[key] != before[key]]
