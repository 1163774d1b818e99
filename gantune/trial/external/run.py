"""``OwnCourse``: one run of a trainer of the user's own: its lines, its scores, its files."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import torch

from gantune.config import ExternalConfig
from gantune.errors import ScoreError, TrainerError
from gantune.health.history import SIGNALS
from gantune.run_folder.stored_scores import read_score
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Evaluator, Sample
from gantune.scores.score import Score
from gantune.trial.external.checkpoint_copies import (
    begin_empty,
    drop_copy,
    holds_files,
    keep_copy,
    read_copy,
    restore,
    restore_best,
)
from gantune.trial.external.samples import Draw, own_sample, seeded
from gantune.trial.external.score_policy import ScoreKind, ScorePolicy
from gantune.trial.monitored_run import Answer, BestCheckpoint, Course, Heartbeat, no_beat
from gantune.trial.pictures import draw_grid, draw_nearest
from gantune.trial.records import Assignment, Outcome, RungReport

_log = logging.getLogger(__name__)


_PAST = 1.25  # times the budget: a report may well come a little after its end


class OwnCourse(Course):
    """One run of a trainer of the user's own, from its first report to its outcome."""

    def __init__(
        self,
        assignment: Assignment,
        folder: TrialFolder,
        yardstick: ScorePolicy,
        answer: Answer,
        device: torch.device,
        beat: Heartbeat = no_beat,
    ) -> None:
        super().__init__(assignment, folder, answer, beat)
        assert isinstance(assignment.config, ExternalConfig)
        self.config, self.device, self.kimg = assignment.config, device, 0.0
        self._yardstick = yardstick
        self._full: Score | None = None  # of the best rung's samples
        self._between: BestCheckpoint | None = None  # the last number given where no rung was due
        self._kind: ScoreKind | None = None
        self._reports, self._step = 0, 0
        self._earlier, self._earlier_scoring = 0.0, 0.0  # seconds, before this process
        self._begun, self._told = time.perf_counter(), 0.0

    @property
    def should_stop(self) -> bool:
        """Also whether the budget's last rung was scored."""
        return super().should_stop or not self._rungs

    @property
    def is_due(self) -> bool:
        """Whether a score is wanted now."""
        return not self.should_stop and bool(self._due(self.kimg))

    @property
    def reason(self) -> str:
        """Why the run should stop."""
        if self._verdict is not None:
            return self._verdict.sentence
        return "pruned by rank" if self._is_pruned else "the budget's last rung is scored"

    def begin(self) -> bool:
        """Fills the checkpoint folder from the last rung's copy, or empties it; whether there was
        one."""
        if self.goes_on():
            return True
        self.folder.truncate_after(-math.inf)
        begin_empty(self.folder.checkpoints)
        for copy in (self.folder.own_best, self.folder.own_last):
            drop_copy(copy)  # of a try that came to nothing
        return False

    def goes_on(self) -> bool:
        """Goes on from the last rung's copy; whether there was one of this config with anything in
        it, and the files of the best rung that its scores speak of."""
        last = self.folder.own_last
        note = read_copy(last)
        if note is None or note["config"] != self._identity() or not holds_files(last):
            return False
        best = self._best_until(note["kimg"])
        if best is not None and not restore_best(last, self.folder.own_best, best):
            _log.warning("%s: what was saved at %g kimg is lost", self.folder.own_best, best)
            return False
        restore(last, self.folder.checkpoints)
        self.folder.truncate_after(note["kimg"])
        self.kimg, self._earlier, self._step = note["kimg"], note["seconds"], note["step"]
        lines: list[Mapping[str, Any]] = list(self.folder.tick_lines())
        self._reports = len(lines)
        self._replay(lines, self.kimg, self._step, self._earlier)
        self._earlier_scoring = self.scoring_seconds
        self._begun, self._told = time.perf_counter(), self._earlier
        return True

    def tick(self, kimg: float, signals: Mapping[str, float]) -> None:
        """Records what was reported and lets health judge it.

        Raises ``TrainerError`` far past a budget whose end nobody scored: it would go on for ever.
        """
        if self.kimg > _PAST * self.config.kimg and not self.should_stop:
            raise TrainerError(
                f"session.report: kimg={kimg:g} is far past the run's {self.config.kimg:g}, and no "
                "score was given at its end; call session.score(value) or "
                "session.score(images=...) where session.should_score, and return where "
                "session.should_stop"
            )
        now = self._seconds
        speed = 1000 * (kimg - self.kimg) / max(now - self._told, 1e-9)
        line = {**signals, "kimg": kimg, "seconds": now, "images_per_second": speed}
        self.folder.add_line(line)
        self.kimg, self._told = kimg, now
        self._reports += 1
        step = signals.get("step", self._step)
        self._step = int(step) if math.isfinite(step) else self._step
        self._judge(line)
        self._beat()

    def _judge(self, signals: Mapping[str, Any]) -> None:
        """Health sees a tick's signals alone: a number called ``score`` is the trainer's affair."""
        super()._judge({name: signals[name] for name in ("kimg", *SIGNALS) if name in signals})

    def take_value(self, value: float) -> None:
        """Takes a score of the trainer's own; at a rung it decides."""
        self._settle("value")
        self._beat()
        assert self._yardstick.own is not None
        score, due = Score.own(value, self._yardstick.own), self._due(self.kimg)
        if not due:
            self._add_score(self.kimg, None if self.kimg else 0.0, score)
            self._see(self.kimg, score)
            return
        self._rungs = self._rungs[len(due) :]
        if not math.isfinite(value):
            self._add_score(self.kimg, due[-1], score)
            self._diverge(self.kimg, f"the trainer's own score is {value} at {self.kimg:g} kimg")
            return
        self._decide(due[-1], score)

    def take_images(self, draw: Draw) -> None:
        """Scores the samples that ``draw`` gives, where a rung is due."""
        self._settle("images")
        due, yardstick = self._due(self.kimg), self._yardstick
        if not due:
            return
        assert yardstick.evaluator is not None
        assert yardstick.real is not None
        self._rungs = self._rungs[len(due) :]
        sample = own_sample(draw, yardstick.real, self.device)
        try:
            with self._scoring():
                score = self._scored(yardstick.evaluator, sample, full=False)
                is_best = self._is_best(score)
                full = self._scored(yardstick.evaluator, sample, full=True) if is_best else None
        except ScoreError as error:  # the samples are no numbers any more
            self._diverge(self.kimg, str(error))
            return
        self._decide(due[-1], score, full, self._alive(sample))

    def conclude(self) -> Outcome:
        """How the run ended, now that the trainer has returned or was stopped.

        Raises ``TrainerError`` where it returned without a report or a score.
        """
        ending, score = self._ending, self._picked_score()
        if not self.should_stop and not self._reports:
            raise TrainerError(
                f"{self.config.trainer} returned without a report; call session.report(kimg=..., "
                "d_loss=..., g_loss=...) as it trains"
            )
        if ending == "completed" and score is None:
            raise TrainerError(
                f"{self.config.trainer} returned at {self.kimg:g} kimg without a score; call "
                "session.score(value) or session.score(images=...) where session.should_score"
            )
        if ending == "completed" and self._best is None:
            keep_copy(self.folder.checkpoints, self.folder.own_best, self._note_of_copy)
        picked = self._best or self._between
        return Outcome(
            ending=ending,
            kimg=self.kimg,
            step=self._step,
            score=score if ending in ("completed", "collapsed") else None,
            best_kimg=picked.kimg if picked else None,
            verdict=self._verdict,
            seconds=self._seconds,
            scoring_seconds=self.scoring_seconds,
        )

    def _recall(self, line: Mapping[str, Any]) -> RungReport | None:
        score, kimg = read_score(self.folder.path, line), line["kimg"]
        self._kind = "value" if score.protocol.is_own else "images"
        if line["rung"] is not None:
            return super()._recall(line)
        if self._kind == "value":
            self._see(kimg, score)
        elif self._best is not None and self._best.kimg == kimg:
            self._full = score
        return None

    def _see(self, kimg: float, score: Score) -> None:
        """Lets health see a number that was given where no rung was due."""
        if kimg > 0 and math.isfinite(score.value):
            self._between = BestCheckpoint(score, kimg)
        if kimg > 0:  # nobody knows where a number of the trainer's own begins and ends
            verdict = self._monitor.observe_score(kimg=kimg, score=score.value)
            self._verdict = self._verdict or verdict

    def _settle(self, kind: ScoreKind) -> None:
        self._yardstick.check(kind, self._kind)
        self._kind = kind

    def _scored(self, evaluator: Evaluator, sample: Sample, *, full: bool) -> Score:
        """A score whose latents follow the protocol's seed, and disturb nobody else's numbers."""
        protocols = evaluator.protocols
        seed = (protocols.full if full else protocols.rung).latent_seed
        with seeded(seed or 0, self.device):
            return evaluator.score(self._alive(sample), full=full)

    def _decide(
        self, rung: float, score: Score, full: Score | None = None, sample: Sample | None = None
    ) -> None:
        """Keeps what the trainer has written, draws its samples, and asks whether to go on."""
        is_best = self._is_best(score)
        self._beat()  # copying may take its time
        self._note(rung, self.kimg, score)
        if full is not None:
            self._add_score(self.kimg, None, full)
            self._full = full
        with self._scoring():
            keep_copy(self.folder.checkpoints, self.folder.own_last, self._note_of_copy)
            if is_best:
                last, best = self.folder.own_last, self.folder.own_best
                keep_copy(last, best, self._note_of_copy, linked=True)
            if sample is not None:
                self._draw(sample, is_best=is_best)
        self._beat()
        self._ask(RungReport(rung, self.kimg, score), self._step, self._seconds)

    def _draw(self, sample: Sample, *, is_best: bool) -> None:
        """Draws a grid, and of the best rung so far what is nearest to it. A run that was scored is
        no worse without."""
        evaluator = self._yardstick.evaluator
        assert evaluator is not None
        with suppress(ScoreError), seeded(0, self.device):
            drawn = draw_grid(sample, self.device, self.folder.grid(self.kimg))
            if is_best:
                neighbours = self.folder.neighbours
                draw_nearest(lambda count, rng: drawn, self.device, evaluator, neighbours)

    def _picked_score(self) -> Score | None:
        """What the run is ranked by, should it have earned that."""
        if self._kind == "images":
            return self._full
        picked = self._best or self._between
        return None if picked is None else picked.score

    @property
    def _seconds(self) -> float:
        """Of training, over all processes."""
        scoring = self.scoring_seconds - self._earlier_scoring
        return self._earlier + time.perf_counter() - self._begun - scoring

    @property
    def _note_of_copy(self) -> dict[str, Any]:
        about = {"kimg": self.kimg, "seconds": self._seconds, "step": self._step}
        return {**about, "config": self._identity()}

    def _identity(self) -> dict[str, Any]:
        """What must be as it was for a run to go on: all but its length."""
        values = {key: value for key, value in self.config.values.items() if key != "kimg"}
        found: dict[str, Any] = json.loads(json.dumps(values))
        return {"trainer": self.config.trainer, "values": found}

    def lost(self, error: str) -> Outcome:
        """The outcome of a run that found no memory."""
        return Outcome(
            ending="out_of_memory",
            kimg=self.kimg,
            step=self._step,
            seconds=self._seconds,
            scoring_seconds=self.scoring_seconds,
            error=error,
        )
