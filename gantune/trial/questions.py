"""``Questions``: what a run asks its driver, and whether it goes on by the last answer."""

from collections.abc import Mapping
from typing import Any

from gantune.scores.score import Score
from gantune.trial.judge import Judge
from gantune.trial.records import Answer, PaceReport, RungReport


class Questions:
    """Asks at rungs, and where a rule about pace speaks: the driver knows the other runs."""

    def __init__(self, judge: Judge, answer: Answer) -> None:
        self._judge, self._answer = judge, answer
        self.refusal = ""
        """Why the run does not go on; empty while it does."""

    def ask_at_rung(self, rung: float, score: Score, spent: Mapping[str, Any]) -> None:
        """Asks after a rung's score, unless health has ended the run.

        A collapse that is found at the last rung takes nothing from its score. ``spent``: the other
        fields of the report.
        """
        verdict, doubt = self._judge.verdict, self._judge.doubt
        if verdict is not None and not (verdict.kind == "collapsed" and rung >= 1):
            return
        best = self._best_kimg
        report = RungReport(rung=rung, score=score, best_kimg=best, doubt=doubt, **spent)
        self._take(self._answer(report), "pruned by rank")

    def ask_for_pace(self, spent: Mapping[str, Any]) -> None:
        """Asks between two rungs, if a rule about pace speaks."""
        doubt = self._judge.doubt
        if doubt is not None:
            report = PaceReport(doubt=doubt, best_kimg=self._best_kimg, **spent)
            self._take(self._answer(report), doubt.sentence)

    @property
    def _best_kimg(self) -> float | None:
        return self._judge.best.kimg if self._judge.best else None

    def _take(self, goes_on: bool, refusal: str) -> None:
        self.refusal = "" if goes_on else refusal
        if goes_on and self._judge.doubt is not None:
            self._judge.spare()
