"""``HealthMonitor``: observes one run and reports when it cannot recover."""

import math
from collections.abc import Mapping
from typing import Any

from gantune.config.loss_families import UNKNOWN_LOSS, loss_by_alias, loss_facts
from gantune.errors import ConfigError
from gantune.health.course import Course
from gantune.health.history import History, Unit
from gantune.health.presets import read_stability
from gantune.health.reach import END, Reach, reaches
from gantune.health.rules import Verdict

_CHECKS = 200  # of a run of any length: checking every tick of a long log would take too long


class HealthMonitor:
    """Judges one run by its ticks and scores. A verdict never depends on later ones.

    ``loss``: a name in ``gantune.config.loss_families.LOSSES``, or a common alias such as
    ``wgan-gp``; ``None`` for any other loss, where only rules that need no neutral value apply.
    ``preset``: ``default``, ``strict``, ``lenient`` or ``off``, or a mapping of rules as in a space
    file's ``stability``. ``budget_kimg``: the length of the run, which patience is a share of;
    without it patience is a share of the observed length. ``label_smoothing``: as in training.
    ``auxiliary``: the losses contain other terms than the adversarial ones, or are scaled; then
    they are compared with the run's own opening. ``defers_pace``: a rule about pace gives no
    verdict but a ``doubt``. ``counted``: what ``step`` counts, in messages: ``step``, ``epoch`` or
    ``record``. Raises ``ConfigError`` for an unknown loss, preset, rule or threshold.
    """

    def __init__(
        self,
        loss: str | None = None,
        *,
        preset: str | Mapping[str, Any] = "default",
        budget_kimg: float | None = None,
        label_smoothing: float = 0.0,
        auxiliary: bool = False,
        defers_pace: bool = False,
        counted: Unit = "step",
    ) -> None:
        if budget_kimg is not None and not 0 < budget_kimg < math.inf:
            raise ConfigError(f"budget_kimg must be a finite number above 0, not {budget_kimg!r}")
        facts = UNKNOWN_LOSS if loss is None else loss_facts(loss_by_alias(loss), label_smoothing)
        self._facts, self._budget, self._is_scaled = facts, budget_kimg, auxiliary
        self._rules = [rule for rule in read_stability(preset) if facts.family in rule.families]
        self._history: History | None = None
        self._checked_at = -math.inf
        self._verdict: Verdict | None = None
        self._defers_pace, self._is_spared = defers_pace, False
        self._counted = counted
        self._doubt: Verdict | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The first verdict, which is final; ``None`` before."""
        return self._verdict

    @property
    def doubt(self) -> Verdict | None:
        """What a rule about pace says at the current place, where that is no verdict: somebody who
        knows the other runs decides."""
        return self._doubt

    def spare(self) -> None:
        """Rejects the doubt: rules about pace are not checked again before the next score."""
        self._doubt, self._is_spared = None, True

    @property
    def reach(self) -> list[Reach]:
        """From where on each rule could act, by what was observed so far."""
        history = self._history or History(self._facts, self._budget)
        return reaches(self._rules, Course.of(history))

    @property
    def remark(self) -> str:
        """What the run's last score says where no rule speaks; empty where there is nothing."""
        if self._verdict is not None or self._history is None:
            return ""
        return next(filter(None, (rule.remark(self._history) for rule in self._rules)), "")

    def observe(
        self,
        *,
        kimg: float | None = None,
        step: float | None = None,
        score: float | None = None,
        fid: float | None = None,
        **signals: float | None,
    ) -> Verdict | None:
        """Adds a tick, with signals named as in ``Tick``; returns the verdict, if any.

        The place is ``kimg``, or ``step`` where no kimg is given. Signals that no rule reads are
        ignored; absent signals and ``None`` are not judged. ``fid``: a Frechet distance of the
        Inception network, whose absolute size can be judged; ``score``: any other distance, lower
        is better. A place at or before an earlier one means that training resumed there, so later
        observations are dropped. Raises ``ValueError`` for a place that is missing, negative or not
        finite, and for one in another unit than the first.
        """
        if self._verdict is None:
            history, at = self._place(kimg, step)
            distance = fid if score is None else score
            if distance is None or any(value is not None for value in signals.values()):
                history.add_tick(at, {**signals, "step": step})
            if distance is not None:
                history.add_score(at, distance, fid=fid)
                self._is_spared = False
            self._judge(history)
        return self._verdict

    def observe_score(
        self,
        *,
        kimg: float | None = None,
        step: float | None = None,
        score: float,
        spread: float | None = None,
    ) -> Verdict | None:
        """Adds a score (a distance, lower is better) and returns the verdict, if any.

        The score at 0 is that of the untrained generator. ``spread``: the spread of the samples in
        the score's features, as a share of that of real images. The place is as in ``observe``.
        """
        if self._verdict is None:
            history, at = self._place(kimg, step)
            history.add_score(at, score, feature_spread=spread)
            self._is_spared = False
            self._judge(history)
        return self._verdict

    def _place(self, kimg: float | None, step: float | None) -> tuple[History, float]:
        at = step if kimg is None else kimg
        if at is None:
            raise ValueError("the place of the run is missing: give kimg=... or step=...")
        unit: Unit = self._counted if kimg is None else "kimg"
        if self._history is None:
            self._history = History(self._facts, self._budget, unit=unit, is_scaled=self._is_scaled)
        elif self._history.unit != unit:
            raise ValueError(
                f"the earlier places of this run are in {self._history.unit}, this one is in {unit}"
            )
        return self._history, at

    def _judge(self, history: History) -> None:
        """Checks the rules in order. Rules that are not instant are checked at a limited number of
        places, and most not at the end of the budget, where nothing is left to save."""
        moved = history.now - self._checked_at
        is_due = not 0 <= moved < history.extent / _CHECKS or history.has_new_score
        is_over = history.now >= END * (history.budget or math.inf)
        if is_due and not is_over:
            self._checked_at = history.now
        self._doubt = None
        for rule in self._rules:
            if not (rule.is_instant or (is_due and (rule.judges_end or not is_over))):
                continue
            if rule.is_about_pace() and self._is_spared:
                continue
            verdict = rule.check(history)
            if verdict is None:
                continue
            if not (rule.is_about_pace() and self._defers_pace):
                self._verdict, self._doubt = verdict, None
                return
            self._doubt = self._doubt or verdict
