"""``HealthMonitor``: watches one run and says when it is past saving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gantune.config.loss_families import UNKNOWN_LOSS, loss_facts
from gantune.errors import ConfigError
from gantune.health.history import History
from gantune.health.loss_aliases import known_loss
from gantune.health.presets import read_stability
from gantune.health.verdict import Unit, Verdict

_LOOKS = 200  # at a run of any length: a long log would take for ever otherwise
_END = 1 - 1e-6  # of the budget: whoever adds up tenths of a kimg comes to a little less


class HealthMonitor:
    """Judges one run by its ticks and scores; what it says depends on nothing that comes later.

    ``loss``: a name in ``gantune.config.loss_families.LOSSES`` or a common name for it, such as
    ``wgan-gp``; ``None`` where it is another: then only what needs no neutral value of a
    loss is judged.
    ``preset``: ``default``, ``strict``, ``lenient`` or ``off``, or a mapping of rules as in a space
    file's ``stability``.
    ``budget_kimg``: the run's whole length, of which patience is a share; without it, of what was
    seen. ``label_smoothing``: the run's own. ``auxiliary``: the losses hold other terms than the
    adversarial ones, or are scaled; they are judged by the run's own opening then. Raises
    ``ConfigError`` for an unknown loss, preset, rule or threshold.
    """

    def __init__(
        self,
        loss: str | None = None,
        *,
        preset: str | Mapping[str, Any] = "default",
        budget_kimg: float | None = None,
        label_smoothing: float = 0.0,
        auxiliary: bool = False,
    ) -> None:
        if budget_kimg is not None and not 0 < budget_kimg < math.inf:
            raise ConfigError(f"budget_kimg must be a finite number above 0, not {budget_kimg!r}")
        facts = UNKNOWN_LOSS if loss is None else loss_facts(known_loss(loss), label_smoothing)
        self._facts, self._budget, self._is_scaled = facts, budget_kimg, auxiliary
        self._rules = [rule for rule in read_stability(preset) if facts.family in rule.families]
        self._history: History | None = None
        self._looked_at = -math.inf
        self._verdict: Verdict | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, once there is one; it stays."""
        return self._verdict

    def observe(
        self,
        *,
        kimg: float | None = None,
        step: float | None = None,
        score: float | None = None,
        fid: float | None = None,
        **signals: float | None,
    ) -> Verdict | None:
        """Takes in one tick, its signals named as in a ``Tick``; returns the verdict, if any.

        The place is ``kimg``, or ``step`` where no kimg is given. Signals that no rule reads are
        ignored, and those that are absent or ``None`` not judged. ``fid``: a Frechet distance of
        the Inception network, whose size says something by itself; ``score``: any other distance,
        lower is better. A place at or below an earlier one means that training went on again from
        there: what was observed from there on is forgotten. Raises ``ValueError`` for a place that
        is missing, negative or not finite, and for one in another unit than the first.
        """
        if self._verdict is None:
            history, at = self._place(kimg, step)
            distance = fid if score is None else score
            if distance is None or any(value is not None for value in signals.values()):
                history.add_tick(at, {**signals, "step": step})
            if distance is not None:
                history.add_score(at, distance, fid=fid)
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
        """Takes in a score (a distance, lower is better) and returns the verdict, if any.

        The score at 0 is the untrained generator's. ``spread``: how far samples differ from each
        other in the score's features, as a share of how far real images do. The place as in
        ``observe``.
        """
        if self._verdict is None:
            history, at = self._place(kimg, step)
            history.add_score(at, score, feature_spread=spread)
            self._judge(history)
        return self._verdict

    def _place(self, kimg: float | None, step: float | None) -> tuple[History, float]:
        at = step if kimg is None else kimg
        if at is None:
            raise ValueError("say where the run is: kimg=..., or step=...")
        unit: Unit = "step" if kimg is None else "kimg"
        if self._history is None:
            self._history = History(self._facts, self._budget, unit=unit, is_scaled=self._is_scaled)
        elif self._history.unit != unit:
            raise ValueError(
                f"this run was observed by {self._history.unit}, and cannot go on by {unit}"
            )
        return self._history, at

    def _judge(self, history: History) -> None:
        """Asks the rules in their order; all but instant ones at so many places of a run only, and
        not at the budget's end, where nothing is left to save."""
        moved = history.now - self._looked_at
        is_due = not 0 <= moved < history.extent / _LOOKS or history.has_new_score
        is_due = is_due and not history.now >= _END * (history.budget or math.inf)
        if is_due:
            self._looked_at = history.now
        rules = (rule for rule in self._rules if is_due or rule.is_instant)
        verdicts = (rule.check(history) for rule in rules)
        self._verdict = next((verdict for verdict in verdicts if verdict), None)
