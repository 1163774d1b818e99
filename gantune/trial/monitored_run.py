"""``Course``: what surrounds one run of training, by whatever trainer: health, rungs, its files.

It knows neither Optuna nor the engine: rungs go through one callable.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from torch import Generator, Tensor

from gantune.health import HealthMonitor, Verdict
from gantune.run_folder.stored_scores import read_score
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Sample
from gantune.scores.score import Score
from gantune.trial.records import Assignment, Ending, RungReport

Answer = Callable[[RungReport], bool]
"""Whether to go on after a rung's score."""


Heartbeat = Callable[[], None]
"""A sign of life, to be given as often as one likes."""


@dataclass(frozen=True)
class BestCheckpoint:
    """The checkpoint that the rungs have picked so far."""

    score: Score
    kimg: float


def no_beat() -> None:
    """For a run that nobody waits for."""


def alive(sample: Sample, beat: Heartbeat) -> Sample:
    """The same samples, each batch a sign of life."""

    def drawn(count: int, rng: Generator) -> Tensor:
        beat()
        return sample(count, rng)

    return drawn


def _stability(assignment: Assignment, folder: TrialFolder) -> str | dict[str, Any]:
    """The rules of a run; one that begins with trained weights need not move far from them."""
    rules = assignment.stability
    if not folder.start.exists():
        return rules if isinstance(rules, str) else dict(rules)
    named = {"preset": rules} if isinstance(rules, str) else dict(rules)
    return {**named, "generator_idle": "off"}


class Course:
    """One run of training from its first tick to its end, as health and the driver see it."""

    def __init__(
        self, assignment: Assignment, folder: TrialFolder, answer: Answer, beat: Heartbeat = no_beat
    ) -> None:
        config = assignment.config
        self.folder, self.scoring_seconds = folder, 0.0
        self._run, self._answer, self._beat = config, answer, beat
        self._monitor = HealthMonitor(
            config.loss,
            preset=_stability(assignment, folder),
            budget_kimg=config.kimg,
            label_smoothing=config.label_smoothing,
            auxiliary=config.auxiliary,
        )
        self._rungs = list(assignment.rungs)
        self._verdict: Verdict | None = None
        self._is_pruned = False
        self._best: BestCheckpoint | None = None

    @property
    def should_stop(self) -> bool:
        """Whether health has given a verdict or the driver has said no."""
        return self._verdict is not None or self._is_pruned

    def beat(self) -> None:
        """A sign of life, as often as one likes."""
        self._beat()

    @property
    def _ending(self) -> Ending:
        if self._verdict is not None:
            return self._verdict.kind
        return "pruned" if self._is_pruned else "completed"

    def _due(self, kimg: float) -> list[float]:
        """The rungs that a run has come to at ``kimg`` and that are not scored yet."""
        images = round(1000 * kimg)
        return [rung for rung in self._rungs if images >= round(1000 * rung * self._run.kimg)]

    def _best_until(self, kimg: float) -> float | None:
        """Where the best rung up to ``kimg`` was taken, by the scores that are written."""
        best: tuple[float, float] | None = None
        for line in self.folder.scores():
            if line["rung"] and line["kimg"] <= kimg and (best is None or line["value"] < best[0]):
                best = line["value"], line["kimg"]
        return None if best is None else best[1]

    def _replay(
        self, ticks: Iterable[Mapping[str, Any]], kimg: float, step: int, seconds: float
    ) -> None:
        """Lets health see again what was observed up to ``kimg``, where the run goes on after
        ``step`` and ``seconds``, in the order in which it was: at one place the tick before the
        score."""
        waiting, last = deque(ticks), None
        for line in self.folder.scores():
            while waiting and waiting[0]["kimg"] <= line["kimg"]:
                self._judge(waiting.popleft())
            self.scoring_seconds = line["scoring_seconds"]
            last = self._recall(line) or last
        for signals in waiting:
            self._judge(signals)
        done = self._due(kimg)
        self._rungs = [rung for rung in self._rungs if rung not in done]
        if last is not None and last.rung > 0:
            self._ask(last, step, seconds)  # the end may have come before the answer

    def _recall(self, line: Mapping[str, Any]) -> RungReport | None:
        """Takes an earlier score again; what was reported with it, where that was at a rung."""
        rung, kimg = line["rung"], line["kimg"]
        if rung is None:
            return None
        score = read_score(self.folder.path, line)
        self._take(rung, kimg, score)
        return RungReport(rung, kimg, score)

    def _ask(self, report: RungReport, step: int, seconds: float) -> None:
        """Asks whether to go on, unless health has said no already."""
        if self._verdict is not None:
            return
        whole = replace(
            report,
            step=step,
            best_kimg=self._best.kimg if self._best else None,
            seconds=seconds,
            scoring_seconds=self.scoring_seconds,
        )
        self._is_pruned = not self._answer(whole)

    def _diverge(self, kimg: float, sentence: str) -> None:
        """Ends a run that gives no numbers any more."""
        self._verdict = Verdict("diverged", "non_finite", kimg, sentence, since=kimg)

    def _note(self, rung: float, kimg: float, score: Score) -> None:
        self._add_score(kimg, rung, score)
        self._take(rung, kimg, score)

    def _add_score(self, kimg: float, rung: float | None, score: Score) -> None:
        line = {"kimg": kimg, "rung": rung, "scoring_seconds": self.scoring_seconds}
        self.folder.add_score(line | score.to_dict())

    def _take(self, rung: float, kimg: float, score: Score) -> None:
        if rung > 0 and self._is_best(score):
            self._best = BestCheckpoint(score, kimg)
        if rung == 0 and (self.folder.start.exists() or score.protocol.is_own):
            # Health measures progress from an untrained generator's distance: this one was trained,
            # or its number is of the trainer's own, and nobody knows where that ends.
            return
        verdict = self._monitor.observe_score(kimg=kimg, score=score.value, spread=score.spread)
        self._verdict = self._verdict or verdict

    def _is_best(self, score: Score) -> bool:
        return self._best is None or score.value < self._best.score.value

    def _judge(self, signals: Mapping[str, Any]) -> None:
        self._verdict = self._verdict or self._monitor.observe(**signals)

    def _alive(self, sample: Sample) -> Sample:
        return alive(sample, self._beat)

    @contextmanager
    def _scoring(self) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.scoring_seconds += time.perf_counter() - begun
