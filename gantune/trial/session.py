"""``Session``: one run of training, by any trainer, from its first tick to its outcome.

A trainer is called as ``train(config, session)``. It reports ticks and is scored at rungs; the
session records that in the trial's folder, lets health judge it, keeps checkpoints in one of two
stores, draws pictures, and says when to stop. It knows neither Optuna nor the engine: it asks.
"""

import logging
import math
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from gantune.config import TrialConfig
from gantune.errors import CheckpointError, ScoreError, TrainerError, TrialStopped
from gantune.events import Observer
from gantune.gan.device_support import out_of_memory_text
from gantune.gan.precision import used_precision
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Evaluator, Sample
from gantune.scores.score import Score
from gantune.trial.checkpoints import CheckpointStore
from gantune.trial.clock import Clock
from gantune.trial.judge import Judge
from gantune.trial.pictures import draw_grid, draw_nearest
from gantune.trial.process_state import ProcessState
from gantune.trial.questions import Questions
from gantune.trial.records import (
    Answer,
    Assignment,
    Ending,
    Heartbeat,
    Outcome,
    Position,
    no_heartbeat,
)
from gantune.trial.scoring import ScoreKind, ScorePolicy, with_heartbeat
from gantune.trial.trainer_input import (
    Draw,
    UserSamples,
    ValueRange,
    check_callable,
    check_value_range,
    checked_report,
    plain_number,
    seeded,
)

_log = logging.getLogger(__name__)


class Session:
    """One run, as its trainer sees it: ``train(config, session)``.

    A trainer may use it only in the process that called it; in any other, ``report`` and ``score``
    raise ``TrainerError``.
    """

    def __init__(
        self,
        assignment: Assignment,
        folder: TrialFolder,
        device: torch.device,
        scoring: ScorePolicy,
        answer: Answer,
        heartbeat: Heartbeat = no_heartbeat,
        *,
        observer: Observer | None = None,
        must_resume: bool = False,
    ) -> None:
        """``must_resume``: a run that cannot be resumed is an error, never a new start."""
        folder = TrialFolder(folder.path.absolute())  # a trainer may change the working folder
        self.config, self.folder, self.heartbeat = assignment.config, folder, heartbeat
        self.device = device
        """The device to train on."""
        self.judge = Judge(assignment, folder)
        self.has_reports = False
        self.error = ""
        """Traceback of an error that came after the run's end."""
        self.own_state = ProcessState({})
        """The process as it was before a user's trainer was called; scores are taken in it."""
        self._scoring, self._questions = scoring, Questions(self.judge, answer)
        self._observer, self._must_resume = observer or Observer(), must_resume
        self._process = os.getpid()
        self._rungs = list(assignment.rungs)
        self._checkpoints: CheckpointStore  # from ``start`` on
        self._position: Callable[[], Position] = Position  # nowhere yet
        self._reported = Position()
        self._clock = Clock()
        self._value_range: ValueRange | None = None  # of floats that a trainer has drawn

    # ---- For every trainer ----------------------------------------------------------------

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far: what was reported last, 0 at first. In a resumed
        run, where ``checkpoint_dir`` was copied."""
        return self.position.kimg

    @property
    def checkpoint_dir(self) -> Path:
        """Folder for checkpoints, in any files. It is copied at each rung. In a run that is resumed
        after a crash or a kill, it holds what it held at the last one."""
        return self.folder.checkpoints.absolute()

    @property
    def should_score(self) -> bool:
        """Whether a rung is due, so that a score is wanted now."""
        return not self.should_stop and bool(self._due())

    @property
    def should_stop(self) -> bool:
        """Whether to return: after a verdict of health, a no at a rung, or the last rung."""
        return bool(self.judge.verdict or self._questions.refusal or not self._rungs)

    def report(self, *, kimg: float, **signals: Any) -> None:
        """Records how training goes: any numbers by name. Health judges those that it knows.

        ``kimg``: thousands of real images that the discriminator has been shown, never less than
        before. Numbers may be 0-d tensors or NumPy's; ``None`` is left out. Raises ``TrainerError``
        for anything else, and far past a budget whose end was not scored; ``TrialStopped`` after
        ``should_stop``.
        """
        self._check_usable()
        at, numbers = checked_report(kimg, signals, last=self.kimg, budget=self.config.kimg)
        last, now = self._reported, self._clock.training
        speed = 1000 * (at - last.kimg) / max(now - last.seconds, 1e-9)
        step = numbers.get("step", math.nan)
        self._reported = Position(at, int(step) if math.isfinite(step) else last.step, now)
        self.record({**numbers, "kimg": at, "seconds": now, "images_per_second": speed})

    def score(
        self,
        value: Any = None,
        *,
        images: Draw | None = None,
        value_range: ValueRange | None = None,
    ) -> None:
        """Scores the run: by the trainer's own number, or by its samples. Lower is better.

        ``value`` is always recorded; ``images`` is ``draw(n)`` or ``draw(n, generator)``, which
        gives n images, uint8 or floats of [n, C, H, W], and is called only where a rung is due.
        ``value_range``: that of floats, black and white, such as ``(-1, 1)``; by default [-1, 1] if
        any is below -0.001, else [0, 1]. Raises ``TrainerError`` for anything else,
        ``TrialStopped`` after ``should_stop``.
        """
        self._check_usable()
        if (value is None) == (images is None):
            raise TrainerError("session.score: give either a number or images=, one of the two")
        check_value_range(value_range)
        with self.own_state.applied() as trainers_state:
            if images is None:
                self._score_value(plain_number("score", "value", value))
                return
            check_callable(images)
            self._settle("images")
            assert self._scoring.real is not None
            known = value_range or self._value_range
            sample = UserSamples(images, self._scoring.real, self.device, trainers_state, known)
            self.score_samples(sample)
            if sample.doubt:
                _log.warning("%s: %s", self.folder.path, sample.doubt)
            self._value_range = sample.value_range

    # ---- For gantune: start, ticks, samples, end ------------------------------------------

    @property
    def due_kimg(self) -> float:
        """Where the newest rung is that waits for a score; 0 where none does."""
        due = self._due()
        return due[-1] * self.config.kimg if due else 0.0

    def start(self, store: CheckpointStore, position: Callable[[], Position] | None = None) -> bool:
        """Resumes from the newest usable checkpoint, else clears the folder; whether it resumed.

        ``position``: where a trainer stands that does not call ``report``. Raises
        ``CheckpointError`` where a run that must resume cannot.
        """
        self._checkpoints, self._position = store, position or self._reported_position
        for point in store.resume_points():
            best = self.judge.best_kimg_until(point.kimg)
            if best is not None and not store.restore_best(best):
                continue
            resumed = store.load(point)
            if resumed is None:
                continue
            self._reported = resumed
            self._clock.resume_from(resumed.seconds)
            self.folder.truncate_after(resumed.kimg)
            self._replay()
            self._observer.message(f"resuming from {resumed.kimg:g} kimg")
            return True
        if self._must_resume:
            raise CheckpointError(store.refusal)
        store.clear()
        self.folder.truncate_after(-math.inf)
        return False

    def record(self, tick: Mapping[str, Any]) -> None:
        """Writes a line of ``ticks.jsonl`` and lets health judge it."""
        self.folder.add_tick(tick)
        self.has_reports = True
        self.judge.see_tick(tick)
        self.heartbeat()
        self._ask_for_pace()
        self._observer.progress("training, kimg", round(self.kimg), round(self.config.kimg))

    def score_start(self, sample: Sample, generator: str) -> None:
        """Scores the generator before its first step. ``generator``: what tells it from others."""
        with self._clock.scores():
            beating = with_heartbeat(sample, self.heartbeat)
            score = self._scoring.score_start(beating, self.device, generator)
        self._add_score(0.0, 0.0, score)
        self.judge.see_score(0.0, 0.0, score)

    def score_samples(self, sample: Sample) -> None:
        """At a rung: scores samples, keeps checkpoints and pictures, and asks whether to continue.

        The best rung so far is scored in full at once, unless its checkpoint can be sampled later.
        """
        self._settle("images")
        if not self._due():
            return
        full = None
        try:
            with self._clock.scores():
                score = self._evaluate(sample)
                if self.judge.is_best(score) and self._checkpoints.best_sampler is None:
                    full = self._evaluate(sample, full=True)
        except ScoreError as error:  # the samples are not finite any more
            self.judge.diverge(self.kimg, str(error))
            return
        self._finish_rung(score, full, sample)

    def finish(self) -> Outcome:
        """The run's outcome, once its trainer has returned or was stopped.

        Scores the best checkpoint in full where it can be sampled and the run is to be ranked.
        Raises ``CheckpointError`` where it is lost.
        """
        judge, best_sampler = self.judge, self._checkpoints.best_sampler
        if judge.best is not None and self._is_ranked and best_sampler is not None:
            if judge.full is None:
                judge.full = self._score_best(best_sampler, judge.best.kimg)
            elif not self.folder.neighbours.exists():  # a kill came between
                self._draw_neighbours(best_sampler(judge.best.kimg))
        return Outcome(
            ending=self._ending,
            score=judge.final_score if self._is_ranked else None,
            best_kimg=judge.checkpoint.kimg if judge.checkpoint else None,
            verdict=judge.verdict,
            error=self.error,
            remark=judge.remark if self._ending == "completed" else "",
            **self._spent(),
        )

    def out_of_memory(self) -> Outcome:
        """The outcome of a run that the device has no memory for."""
        error = out_of_memory_text(self.config, self.device)
        outcome = Outcome(ending="out_of_memory", error=error, **self._spent())
        self._position = Position
        self.__dict__.pop("_checkpoints", None)  # it holds the trainer, whose memory is needed
        return outcome

    # ---- Scores ---------------------------------------------------------------------------

    def _score_value(self, value: float) -> None:
        """Takes the trainer's own score; at a rung it decides."""
        self._settle("value")
        self.heartbeat()
        assert self._scoring.value is not None
        score, due = Score.external(value, self._scoring.value), self._due()
        if not due:
            self._add_score(self.kimg, None if self.kimg else 0.0, score)
            self.judge.see_value(self.kimg, score)
            self._ask_for_pace()
        elif math.isfinite(value):
            self._finish_rung(score)
        else:
            self._add_score(self.kimg, due[-1], score)
            what = f"the trainer's own score is {value} at {self.kimg:g} kimg"
            self.judge.diverge(self.kimg, what)

    def _settle(self, kind: ScoreKind) -> None:
        """Raises ``TrainerError`` for a kind of score that is not the run's."""
        self._scoring.check(kind, self.judge.kind)
        self.judge.kind = kind

    def _evaluate(self, sample: Sample, *, full: bool = False) -> Score:
        return self._scoring.score(with_heartbeat(sample, self.heartbeat), self.device, full=full)

    def _finish_rung(
        self, score: Score, full: Score | None = None, sample: Sample | None = None
    ) -> None:
        """Writes a rung's scores, saves, draws pictures, and asks whether to continue."""
        due, kimg, is_best = self._due(), self.kimg, self.judge.is_best(score)
        self.heartbeat()  # saving may take long
        self._add_score(kimg, due[-1], score)
        self.judge.see_score(due[-1], kimg, score)
        if full is not None:
            self._add_score(kimg, None, full)
            self.judge.full = full
        with self._clock.scores():
            self._checkpoints.save(self.position, is_best=is_best)
            if sample is not None:
                with suppress(ScoreError), seeded(0, self.device):  # drawing is best effort
                    drawn = draw_grid(
                        with_heartbeat(sample, self.heartbeat), self.device, self.folder.grid(kimg)
                    )
                    if full is not None:
                        self._draw_neighbours(lambda *_: drawn)
        self.heartbeat()
        self._rungs = self._rungs[len(due) :]
        self._ask(due[-1], kimg, score)

    def _score_best(self, best_sampler: Callable[[float], Sample], kimg: float) -> Score | None:
        """The best checkpoint's full score; ``None``, and a verdict, where it cannot be taken."""
        try:
            with self._clock.scores():
                sample = best_sampler(kimg)
                score = self._evaluate(sample, full=True)
        except ScoreError as error:
            self.judge.diverge(self.kimg, str(error))
            return None
        self._add_score(kimg, None, score)
        with self._clock.scores():
            self._draw_neighbours(sample)
        return score

    def _draw_neighbours(self, sample: Sample) -> None:
        draw_nearest(sample, self.device, self.evaluator, self.folder.neighbours)

    def _add_score(self, kimg: float, rung: float | None, score: Score) -> None:
        line = {"kimg": kimg, "rung": rung, "scoring_seconds": self._clock.scoring}
        self.folder.add_score(line | score.to_dict())

    # ---- Resume, and the driver's answer --------------------------------------------------

    def _replay(self) -> None:
        """Judges again what is on disk. Asks the driver again about the last rung, as a kill may
        have come before its answer."""
        last = self.judge.replay()
        self.has_reports = self.folder.last_tick() is not None
        for line in self.folder.scores()[-1:]:
            self._clock.scoring = line["scoring_seconds"]
        self._rungs = self._rungs[len(self._due()) :]
        if last is not None:
            self._ask(*last)

    def _ask(self, rung: float, kimg: float, score: Score) -> None:
        """Asks whether the run continues after a rung."""
        spent = {**self._spent(), "kimg": kimg, "can_pause": self._checkpoints.can_resume}
        self._questions.ask_at_rung(rung, score, spent)

    def _ask_for_pace(self) -> None:
        """Asks whether the run continues; at a rung that question waits for its score."""
        if not self.should_stop and not self._due():
            self._questions.ask_for_pace(self._spent())

    def _check_usable(self) -> None:
        """Raises ``TrainerError`` in another process, ``TrialStopped`` after the run's end."""
        if os.getpid() != self._process:
            raise TrainerError(
                f"session: used in process {os.getpid()}, but it belongs to process "
                f"{self._process}; report from the process that called the trainer"
            )
        if self.judge.verdict is not None:
            raise TrialStopped(self.judge.verdict.sentence)
        if self.should_stop:
            raise TrialStopped(self._questions.refusal or "the budget's last rung is scored")

    # ---- Where the run stands -------------------------------------------------------------

    def _due(self) -> Sequence[float]:
        """The rungs that the run has reached and that are not scored yet."""
        images, budget = round(1000 * self.kimg), self.config.kimg
        return [rung for rung in self._rungs if images >= round(1000 * rung * budget)]

    @property
    def _ending(self) -> Ending:
        if self.judge.verdict is not None:
            return self.judge.verdict.kind
        return "pruned" if self._questions.refusal else "completed"

    @property
    def _is_ranked(self) -> bool:
        return self._ending in ("completed", "collapsed")

    @property
    def evaluator(self) -> Evaluator:
        """What scores the run's images."""
        assert self._scoring.evaluator is not None
        return self._scoring.evaluator

    @property
    def position(self) -> Position:
        """Where it is now."""
        return self._position()

    def _reported_position(self) -> Position:
        return self._reported._replace(seconds=self._clock.training)

    def _spent(self) -> dict[str, Any]:
        """What reports and outcomes say of the run so far."""
        config, spent = self.config, self.position._asdict()
        if isinstance(config, TrialConfig):
            spent["computed_in"] = used_precision(config, self.device)
        return {**spent, "scoring_seconds": self._clock.scoring}
