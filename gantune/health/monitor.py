"""``HealthMonitor``: watches one run and says when it is past saving."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from gantune.errors import ConfigError
from gantune.families import LOSSES, loss_facts
from gantune.health.history import History
from gantune.health.presets import read_stability
from gantune.health.verdict import Verdict
from gantune.problems import nearest

__all__ = ["HealthMonitor"]


class HealthMonitor:
    """Judges one run by its ticks and scores; what it says depends on nothing that comes later.

    ``loss``: a name in ``gantune.families.LOSSES``. ``preset``: ``default``, ``strict``,
    ``lenient`` or ``off``, or a mapping of rules as in a space file's ``stability``.
    ``budget_kimg``: the run's whole length, of which patience is a share; without it, of what was
    seen. ``label_smoothing``: the run's own. ``loss`` may be ``None``, and ``auxiliary`` says that
    the losses hold other terms too: then no neutral value is known, as of a critic. Raises
    ``ConfigError`` for an unknown loss, preset, rule or threshold.
    """

    def __init__(
        self,
        loss: str | None,
        *,
        preset: str | Mapping[str, Any] = "default",
        budget_kimg: float | None = None,
        label_smoothing: float = 0.0,
        auxiliary: bool = False,
    ) -> None:
        loss = "wgan" if loss is None or auxiliary else loss
        if loss not in LOSSES:
            meant = nearest(loss, LOSSES) or f"; known: {', '.join(LOSSES)}"
            raise ConfigError(f"no loss {loss!r}{meant}")
        if budget_kimg is not None and not 0 < budget_kimg < math.inf:
            raise ConfigError(f"budget_kimg must be a finite number above 0, not {budget_kimg!r}")
        facts = loss_facts(loss, label_smoothing)
        self._history = History(facts, budget_kimg)
        self._rules = [rule for rule in read_stability(preset) if facts.family in rule.families]
        self._verdict: Verdict | None = None

    @property
    def verdict(self) -> Verdict | None:
        """The verdict, once there is one; it stays."""
        return self._verdict

    def observe(self, *, kimg: float, **signals: float | None) -> Verdict | None:
        """Takes in one tick, its signals named as in a ``Tick``; returns the verdict, if any.

        Signals that no rule reads are ignored, and those that are absent or ``None`` not judged.
        A ``kimg`` at or below an earlier one means that training went on again from there: what
        was observed from there on is forgotten. Raises ``ValueError`` for a ``kimg`` that is
        negative or not finite.
        """
        if self._verdict is None:
            self._history.add_tick(kimg, signals)
            self._judge()
        return self._verdict

    def observe_score(self, *, kimg: float, score: float) -> Verdict | None:
        """Takes in a score (a distance, lower is better) and returns the verdict, if any.

        The score at kimg 0 is the untrained generator's. ``kimg`` as in ``observe``.
        """
        if self._verdict is None:
            self._history.add_score(kimg, score)
            self._judge()
        return self._verdict

    def _judge(self) -> None:
        verdicts = (rule.check(self._history) for rule in self._rules)
        self._verdict = next((verdict for verdict in verdicts if verdict), None)
