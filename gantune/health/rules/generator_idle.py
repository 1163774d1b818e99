"""A generator that moves too slowly to get anywhere in its budget."""

from __future__ import annotations

import statistics
from typing import ClassVar

from gantune.health.history import History
from gantune.health.rules.rule import Positive, Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure


class GeneratorIdle(Rule):
    """At its pace G's weights cannot move by even half of their norm before the budget ends.

    The sum of the steps' lengths is the farthest that weights can come, if all steps went one way;
    a network whose weights stay near where they were drawn draws about what it drew then. Needs the
    budget, the length of steps and their number. A pace that still rises, as in a warm-up, is
    waited for; a budget of a few kimg is a first look, whatever comes of it.
    """

    name: ClassVar[str] = "generator_idle"
    kind: ClassVar[Kind] = "stalled"

    distance: Positive
    """Sum of all steps' lengths over the norm of G's weights, by the budget's end."""
    rise: Share
    """By how much the pace rises from the window's first third to its last, where it is waited
    for."""
    after: Share
    """Share of the budget before which no run is judged."""
    shortest: Positive
    """Budget in kimg under which no run is judged."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("g_update", self.patience)
        if history.budget is None or window is None or window.rise > self.rise:
            return None
        taken = history.ticks[-1].values.get("step", 0.0)
        if not taken or history.now < self.after * history.budget:
            return None
        if history.budget < self.shortest:
            return None
        whole = history.before("g_update", history.now)
        assert whole is not None
        steps = taken * history.budget / history.now
        distance = statistics.fmean(whole.values) * steps
        if distance > self.distance:
            return None
        return self.verdict(
            history,
            f"G's weights move by {figure(statistics.fmean(whole.values))} of their norm a step, "
            f"by {figure(distance)} at most in the {figure(steps)} steps of "
            f"{in_words(history.budget, history.unit)}",
            0.0,
        )
