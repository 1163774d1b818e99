"""Synthetic runs: ticks as a list of mappings, one for each kimg."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence

from gantune.config.loss_families import LOSSES
from gantune.health import HealthMonitor, History, Verdict

BUDGET = 40.0
Ticks = Sequence[Mapping[str, float | None]]


def calm(loss: str, count: int = 40, seed: int = 0) -> list[dict[str, float | None]]:
    """A run at its loss's neutral value, with a tenth of noise on everything."""
    rng, facts = random.Random(seed), LOSSES[loss]

    def noisy(value: float) -> float:
        return value * rng.uniform(0.9, 1.1) + rng.uniform(-0.01, 0.01)

    return [
        {
            "kimg": float(k + 1),
            "step": 30.0 * (k + 1),
            "d_loss": noisy(facts.discriminator_neutral),
            "g_loss": noisy(facts.generator_neutral),
            "d_grad": noisy(3.0),
            "g_grad": noisy(1.0),
            "non_finite": 0.0,
            "spread": noisy(0.9),
            "g_update": 0.005 * rng.uniform(0.9, 1.1),
        }
        for k in range(count)
    ]


def changed(
    ticks: Iterable[Mapping[str, float | None]], after: float, **signals: float | None
) -> list[dict[str, float | None]]:
    """The same run with other signals at every tick past ``after`` kimg."""
    return [dict(t) | (signals if (t["kimg"] or 0.0) > after else {}) for t in ticks]


def judged(
    loss: str | None, ticks: Ticks, preset: str = "default", budget: float | None = BUDGET
) -> Verdict | None:
    """The verdict on a whole run."""
    monitor = HealthMonitor(loss, preset=preset, budget_kimg=budget)
    verdict = None
    for tick in ticks:
        verdict = monitor.observe(**tick)
    return verdict


def history_of(loss: str, ticks: Ticks, budget: float | None = BUDGET) -> History:
    """The history of a whole run."""
    history = History(LOSSES[loss], budget)
    for tick in ticks:
        history.add_tick(tick["kimg"] or 0.0, tick)
    return history
