"""``Run``: one run of training, by any trainer, from its first tick to its outcome.

It records ticks and scores in the trial's folder, lets health judge them, keeps checkpoints in one
of two stores, draws pictures, and says when to stop. It knows neither Optuna nor the engine: it
asks.
"""

import math
import os
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple, TypeVar

import torch

from gantune.config import TrialConfig
from gantune.errors import CheckpointError, ScoreError
from gantune.events import Observer
from gantune.gan.device_support import is_out_of_memory, out_of_memory_text, release_memory
from gantune.gan.precision import used_precision
from gantune.io.formatting import duration
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Sample
from gantune.scores.score import Score
from gantune.trial.checkpoints import CheckpointStore
from gantune.trial.clock import Clock
from gantune.trial.judge import Judge
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
from gantune.trial.scorer import RungScores, Scorer
from gantune.trial.scoring import ScoreKind, ScorePolicy


class _Rung(NamedTuple):
    """A rung that the run has reached."""

    due: Sequence[float]
    """It, and those before it that have no score either."""
    position: Position
    snapshot: Any
    """For the checkpoint store."""


class Run:
    """One run, as gantune sees it. Its trainer sees a ``Session``, which is one."""

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
        sends_files: bool = False,
    ) -> None:
        """``must_resume``: a run that cannot be resumed is an error, never a new start.
        ``sends_files``: ``answer`` takes the run's files along at a rung, so they must be whole."""
        folder = TrialFolder(folder.path.absolute())  # a trainer may change the working folder
        self.config, self.folder, self.heartbeat = assignment.config, folder, heartbeat
        self.device = device
        """The device to train on."""
        self.judge = Judge(assignment, folder)
        self.has_reports = False
        self.error = ""
        """Traceback of an error that came after the run's end."""
        self._scoring, self._questions = scoring, Questions(self.judge, answer)
        self._observer, self._must_resume = observer or Observer(), must_resume
        self._rungs = list(assignment.rungs)
        self._checkpoints: CheckpointStore  # from ``start`` on
        self._position: Callable[[], Position] = Position  # nowhere yet
        self._reported = Position()  # by a trainer that calls ``report``
        self._process, self._sends_files = os.getpid(), sends_files
        self._clock = Clock()
        self.scorer = Scorer(scoring, folder, device, heartbeat, self._clock)
        """Takes the scores of samples."""
        self._begun: _Rung | None = None  # that is scored in the background
        self._is_rival = assignment.kind == "trial"
        self._seconds = deque[float](maxlen=2)  # of training, at the last ticks

    # ---- Where it stands ------------------------------------------------------------------

    @property
    def kimg(self) -> float:
        """Thousands of real images shown so far: what was reported last, 0 at first. In a resumed
        run, where ``checkpoint_dir`` was copied."""
        return self.position.kimg

    @property
    def should_score(self) -> bool:
        """Whether a rung is due, so that a score is wanted now."""
        return not self.should_stop and bool(self._due())

    @property
    def should_stop(self) -> bool:
        """Whether to return: after a verdict of health, a no at a rung, or the last rung."""
        return bool(self.judge.verdict or self._questions.refusal or not self._rungs)

    @property
    def due_kimg(self) -> float:
        """Where the newest rung is that waits for a score; 0 where none does."""
        due = self._due()
        return due[-1] * self.config.kimg if due else 0.0

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
    def position(self) -> Position:
        """Where it is now."""
        return self._position()

    def _reported_position(self) -> Position:
        return self._reported._replace(seconds=self._clock.training)

    def _spent(self, position: Position) -> dict[str, Any]:
        """What reports and outcomes say of the run up to a position."""
        config, spent = self.config, position._asdict()
        if isinstance(config, TrialConfig):
            spent["computed_in"] = used_precision(config, self.device)
        return {**spent, "scoring_seconds": self._clock.scoring}

    # ---- Start and ticks ------------------------------------------------------------------

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
            is_over = resumed.kimg >= self.config.kimg
            text = "nothing is left to train: it has its" if is_over else "resuming from"
            self._observer.message(f"{text} {resumed.kimg:g} kimg")
            self._replay()
            return True
        if self._must_resume:
            raise CheckpointError(store.refusal)
        store.clear()
        self.folder.truncate_after(-math.inf)
        return False

    def _replay(self) -> None:
        """Judges again what is on disk. Asks the driver again about the last rung, as a kill may
        have come before its answer."""
        last = self.judge.replay()
        self.has_reports = self.folder.last_tick() is not None
        for line in self.folder.scores()[-1:]:
            self._clock.scoring = line["scoring_seconds"]
        self._rungs = self._rungs[len(self._due()) :]
        if last is not None:
            rung, kimg, score = last
            self._ask(rung, self.position._replace(kimg=kimg), score)

    def record(self, tick: Mapping[str, Any]) -> None:
        """Writes a line of ``ticks.jsonl`` and lets health judge it."""
        self.folder.add_tick(tick)
        self._seconds.append(tick["seconds"])
        self.has_reports = True
        self.judge.see_tick(tick)
        self.heartbeat()
        self._ask_for_pace()
        done, total, speed = self.kimg, self.config.kimg, tick.get("images_per_second")
        pace = [] if speed is None else [f"{speed:,.0f} images/s"]
        if 0 < done < total:
            pace.append(f"{duration(self._clock.left(done / total))} left")
        self._observer.progress("training, kimg", round(done), round(total), ", ".join(pace))

    def _ask_for_pace(self) -> None:
        """Asks whether the run continues; at a rung that question waits for its score."""
        if not self.should_stop and not self._due():
            self._questions.ask_for_pace(self._spent(self.position))

    # ---- Scores ---------------------------------------------------------------------------

    def settle(self, kind: ScoreKind) -> None:
        """Raises ``TrainerError`` for a kind of score that is not the run's."""
        self._scoring.check(kind, self.judge.kind)
        self.judge.kind = kind

    def score_start(self, sample: Sample, generator: str) -> None:
        """Scores the generator before its first step. ``generator``: what tells it from others."""
        score = self.scorer.score_start(sample, generator)
        self._add_score(0.0, 0.0, score)
        self.judge.see_score(0.0, 0.0, score)

    def score_samples(self, sample: Sample, frozen: Callable[[], Sample] | None = None) -> None:
        """At a rung: scores samples, keeps checkpoints and pictures, and asks whether to continue.

        The best rung so far is scored in full at once, unless its checkpoint can be sampled later.
        ``frozen``: where the next tick only replays recorded steps, makes a sampler that training
        does not change. Then all of this may be left to ``take_score`` after that tick.
        """
        self.settle("images")
        if not self._due():
            return
        if frozen is not None and self.scorer.can_begin and self._pays_to_train_on:
            rung = self._rung()
            if self.scorer.begin_rung(frozen):
                self._begun = rung
                return
        try:
            taken = self.scorer.score_rung(sample, self._needs_full)
        except ScoreError as error:  # the samples are not finite any more
            self.judge.diverge(self.kimg, str(error))
            return
        self._finish_rung(self._rung(), taken)

    def take_score(self) -> None:
        """Ends a rung whose score was begun: to be called after the next tick, before its record.

        Where the run does not continue, it has ended at the rung, and that tick is discarded.
        """
        if self._begun is None:
            return
        rung, self._begun = self._begun, None
        try:
            taken = self.scorer.take_rung()
        except ScoreError as error:
            self.judge.diverge(rung.position.kimg, str(error))
        else:
            self._finish_rung(rung, taken)
        if self.should_stop:
            position = rung.position  # and not the snapshot too
            self._position = lambda: position

    def score_value(self, value: float) -> None:
        """Takes the trainer's own score; at a rung it decides. Raises ``TrainerError``."""
        self.settle("value")
        self.heartbeat()
        assert self._scoring.value is not None
        score, due = Score.external(value, self._scoring.value), self._due()
        if not due:
            self._add_score(self.kimg, None if self.kimg else 0.0, score)
            self.judge.see_value(self.kimg, score)
            self._ask_for_pace()
        elif math.isfinite(value):
            self._finish_rung(self._rung(), RungScores(score))
        else:
            self._add_score(self.kimg, due[-1], score)
            what = f"the trainer's own score is {value} at {self.kimg:g} kimg"
            self.judge.diverge(self.kimg, what)

    def _rung(self) -> _Rung:
        position = self.position
        with self._clock.scores():
            return _Rung(self._due(), position, self._checkpoints.snapshot(position))

    def _needs_full(self, score: Score) -> bool:
        return self.judge.is_best(score) and self._checkpoints.best_sampler is None

    @property
    def _pays_to_train_on(self) -> bool:
        """Whether to train while a rung is scored. Most trials of a search end at their rungs, so
        it must not cost them more than the score itself would."""
        return not self._is_rival or self.scorer.seconds > self._seconds[-1] - self._seconds[0]

    def _finish_rung(self, rung: _Rung, taken: RungScores) -> None:
        """Keeps a rung, and asks whether to continue."""
        self._keep_rung(rung, taken)
        self._rungs = self._rungs[len(rung.due) :]
        self._ask(rung.due[-1], rung.position, taken.score)

    def _keep_rung(self, rung: _Rung, taken: RungScores) -> None:
        """Writes a rung's scores, saves, and draws pictures."""
        (due, position, snapshot), score = rung, taken.score
        kimg, is_best = position.kimg, self.judge.is_best(score)
        self.heartbeat()  # saving may take long
        self._add_score(kimg, due[-1], score)
        self.judge.see_score(due[-1], kimg, score)
        if taken.full is not None:
            self._add_score(kimg, None, taken.full)
            self.judge.full = taken.full
        with self._clock.scores():
            self._checkpoints.save(snapshot, is_best=is_best)
        self.scorer.draw(taken, kimg)
        if self._sends_files:
            with self._clock.scores():
                self._checkpoints.flush()
        self.heartbeat()

    def _ask(self, rung: float, position: Position, score: Score) -> None:
        """Asks whether the run continues after a rung, where it stood at ``position``."""
        spent = {**self._spent(position), "can_pause": self._checkpoints.can_resume}
        self._questions.ask_at_rung(rung, score, spent)

    def _add_score(self, kimg: float, rung: float | None, score: Score) -> None:
        line = {"kimg": kimg, "rung": rung, "scoring_seconds": self._clock.scoring}
        self.folder.add_score(line | score.to_dict())

    # ---- The end --------------------------------------------------------------------------

    def finish(self) -> Outcome:
        """The run's outcome, once its trainer has returned or was stopped.

        Scores the best checkpoint in full where it can be sampled and the run is to be ranked.
        Raises ``CheckpointError`` where it is lost.
        """
        self.take_score()
        with self._clock.scores():
            self._checkpoints.flush()
        judge, best_sampler = self.judge, self._checkpoints.best_sampler
        if judge.best is not None and self._is_ranked and best_sampler is not None:
            if judge.full is None:
                judge.full = self._score_best(best_sampler, judge.best.kimg)
            elif not self.folder.neighbours.exists():  # a kill came between
                self.scorer.draw_neighbours(best_sampler(judge.best.kimg))
        return Outcome(
            ending=self._ending,
            score=judge.final_score if self._is_ranked else None,
            best_kimg=judge.checkpoint.kimg if judge.checkpoint else None,
            verdict=judge.verdict,
            error=self.error,
            remark=judge.remark if self._ending == "completed" else "",
            **self._spent(self.position),
        )

    def _score_best(self, best_sampler: Callable[[float], Sample], kimg: float) -> Score | None:
        """The best checkpoint's full score; ``None``, and a verdict, where it cannot be taken."""
        sample = best_sampler(kimg)
        try:
            score = self.scorer.score_full(sample)
        except ScoreError as error:
            self.judge.diverge(self.kimg, str(error))
            return None
        self._add_score(kimg, None, score)
        self.scorer.draw_neighbours(sample)
        return score

    def out_of_memory(self) -> Outcome:
        """The outcome of a run that the device has no memory for."""
        with suppress(Exception):
            self.take_score()  # of a rung before
        self.close()
        error = out_of_memory_text(self.config, self.device)
        outcome = Outcome(ending="out_of_memory", error=error, **self._spent(self.position))
        self._position = Position
        self.__dict__.pop("_checkpoints", None)  # it holds the trainer, whose memory is needed
        return outcome

    def close(self) -> None:
        """Waits for what goes on in the background. A rung that is scored there is kept, so that a
        run which was broken off resumes from it."""
        rung, self._begun = self._begun, None
        try:
            if rung is not None:
                with suppress(Exception):  # the run has ended by another error before
                    self._keep_rung(rung, self.scorer.take_rung())
        finally:
            self.scorer.close()
            if (store := self.__dict__.get("_checkpoints")) is not None:
                with suppress(Exception):
                    store.flush()


_AnyRun = TypeVar("_AnyRun", bound=Run)


def run_trial(train: Callable[[Any, _AnyRun], object], run: _AnyRun) -> Outcome:
    """Calls ``train(config, run)`` until its budget, a verdict or the driver ends it.

    Running out of memory is an outcome; every other error is raised.
    """
    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(run.device)
    outcome = _run(train, run)
    if outcome.ending == "out_of_memory":
        release_memory(run.device)  # the trainer and the error's traceback are gone by now
    return outcome


def _run(train: Callable[[Any, _AnyRun], object], run: _AnyRun) -> Outcome:
    try:
        train(run.config, run)
        return run.finish()
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        return run.out_of_memory()
    finally:
        run.close()
