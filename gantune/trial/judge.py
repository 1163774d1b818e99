"""``Judge``: what a run's ticks and scores mean for it: health's verdict and the best rung."""

import math
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from gantune.health import HealthMonitor, Verdict
from gantune.health.history import SIGNALS
from gantune.run_folder.run import read_score
from gantune.run_folder.trial import TrialFolder
from gantune.scores.score import Score
from gantune.trial.records import Assignment
from gantune.trial.scoring import ScoreKind


@dataclass(frozen=True)
class BestCheckpoint:
    """The checkpoint with the best score so far."""

    score: Score
    kimg: float


class Judge:
    """Follows one run. What it has seen is on disk, and can be replayed when the run resumes."""

    def __init__(self, assignment: Assignment, folder: TrialFolder) -> None:
        config = assignment.config
        self._folder = folder
        self._new_monitor = partial(
            HealthMonitor,
            config.loss,
            preset=_rules(assignment, folder),
            budget_kimg=config.kimg,
            label_smoothing=config.label_smoothing,
            auxiliary=config.auxiliary,
            defers_pace=assignment.has_peers,
        )
        self._monitor = self._new_monitor()
        self._others: dict[str, HealthMonitor] = {}  # of further pairs of players
        self._last_value: BestCheckpoint | None = None
        self._start: Score | None = None  # of the untrained generator
        self.verdict: Verdict | None = None
        """The first verdict of health."""
        self.best: BestCheckpoint | None = None
        """The best rung so far."""
        self.full: Score | None = None
        """The best rung's score under the full protocol; ``None`` before it is taken, and of a run
        that is not scored by images."""
        self.kind: ScoreKind | None = None
        """What the run is scored by; ``None`` before its first score."""

    @property
    def checkpoint(self) -> BestCheckpoint | None:
        """The best rung; before the first rung the last value that the trainer gave."""
        return self.best or self._last_value

    @property
    def final_score(self) -> Score | None:
        """The score that ranks the run."""
        if self.kind == "images":
            return self.full
        return None if self.checkpoint is None else self.checkpoint.score

    @property
    def doubt(self) -> Verdict | None:
        """What a rule about pace says now, where the driver decides whether it is a verdict."""
        return None if self.verdict is not None else self._monitor.doubt

    @property
    def _idle(self) -> Verdict | None:
        """A doubt that needs no driver: of a run that is no better than the untrained generator by
        more than the standard error of the difference. All others may be idle too."""
        doubt, start, best = self._monitor.doubt, self._start, self.best
        if doubt is None or start is None or best is None:
            return None
        error = math.hypot(start.error or 0.0, best.score.error or 0.0)
        return None if best.score.value < start.value - error else doubt

    def spare(self) -> None:
        """Takes the driver's answer that a doubt is none, until the next score."""
        self._monitor.spare()

    @property
    def remark(self) -> str:
        """What is odd about the scores of a run without a verdict."""
        return "" if self.verdict is not None else self._monitor.remark

    def is_best(self, score: Score) -> bool:
        """Whether a rung's score is better than all before."""
        return self.best is None or score.value < self.best.score.value

    def see_tick(self, tick: Mapping[str, Any]) -> None:
        """Lets health see the signals that it knows; a trainer may report others by any name."""
        signals = {name: tick[name] for name in ("kimg", *SIGNALS) if name in tick}
        self._take(self._monitor.observe(**signals))
        for group, losses in _further_losses(tick).items():
            if group not in self._others:
                self._others[group] = self._new_monitor()
            verdict = self._others[group].observe(kimg=tick["kimg"], **losses)
            self._take(verdict and _of_group(verdict, group))

    def see_score(self, rung: float, kimg: float, score: Score) -> None:
        """Takes the score of a rung, or of the start (rung 0)."""
        if rung > 0 and self.is_best(score):
            self.best, self.full = BestCheckpoint(score, kimg), None
        if rung == 0 and (self._folder.start.exists() or score.protocol.is_external):
            # Health measures progress from an untrained generator's distance. This one was trained,
            # or the score is the trainer's own, whose scale is unknown.
            return
        self._start = score if rung == 0 else self._start
        self._observe_score(kimg, score.value, score.spread)

    def see_value(self, kimg: float, score: Score) -> None:
        """Takes a value that the trainer gave between rungs."""
        if kimg == 0:  # the scale of a trainer's own score is unknown before it has trained
            return
        if math.isfinite(score.value):
            self._last_value = BestCheckpoint(score, kimg)
        self._observe_score(kimg, score.value, None)

    def _observe_score(self, kimg: float, value: float, spread: float | None) -> None:
        self._take(self._monitor.observe_score(kimg=kimg, score=value, spread=spread))
        for group, monitor in self._others.items():
            verdict = monitor.observe_score(kimg=kimg, score=value, spread=spread)
            self._take(verdict and _of_group(verdict, group))

    def _take(self, verdict: Verdict | None) -> None:
        self.verdict = self.verdict or verdict or self._idle

    def _see_stored(self, line: Mapping[str, Any]) -> Score:
        """Takes a line of ``scores.jsonl`` again; its score."""
        score, rung, kimg = read_score(self._folder.path, line), line["rung"], line["kimg"]
        self.kind = "value" if score.protocol.is_external else "images"
        if rung is not None:
            self.see_score(rung, kimg, score)
        elif self.kind == "value":
            self.see_value(kimg, score)
        elif self.best is not None and self.best.kimg == kimg:
            self.full = score
        return score

    def best_kimg_until(self, kimg: float) -> float | None:
        """Where the best rung up to ``kimg`` was taken, by the scores on disk."""
        rungs = [line for line in self._folder.scores() if line["rung"] and line["kimg"] <= kimg]
        best = min(rungs, key=lambda line: line["value"], default=None)
        return None if best is None else best["kimg"]

    def replay(self) -> tuple[float, float, Score] | None:
        """Judges what is on disk again, in the same order: at one kimg the tick before the score.

        Share, kimg and score of the last rung; ``None`` before the first.
        """
        ticks, last = deque(self._folder.ticks()), None
        for line in self._folder.scores():
            while ticks and ticks[0]["kimg"] <= line["kimg"]:
                self.see_tick(ticks.popleft())
            score = self._see_stored(line)
            if line["rung"]:
                last = line["rung"], line["kimg"], score
        for tick in ticks:
            self.see_tick(tick)
        return last

    def diverge(self, kimg: float, sentence: str) -> None:
        """Ends a run whose scores are not finite any more."""
        self.verdict = Verdict("diverged", "non_finite", kimg, sentence, since=kimg)


def _of_group(verdict: Verdict, group: str) -> Verdict:
    """The verdict on a further pair of players, which its sentence names."""
    return replace(verdict, sentence=f"{verdict.sentence} (players {group})")


def _further_losses(tick: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The losses of further pairs of players: ``d_loss[B]`` is that of the pair B."""
    found: dict[str, dict[str, float]] = {}
    for name, value in tick.items():
        signal, bracket, group = name.partition("[")
        if bracket and signal in ("d_loss", "g_loss") and group.endswith("]"):
            found.setdefault(group[:-1], {})[signal] = value
    return found


def _rules(assignment: Assignment, folder: TrialFolder) -> str | dict[str, Any]:
    """The run's health rules. One that starts from trained weights need not move far from them."""
    rules = assignment.stability
    if not folder.start.exists():
        return rules if isinstance(rules, str) else dict(rules)
    named = {"preset": rules} if isinstance(rules, str) else dict(rules)
    return {**named, "generator_idle": "off"}
