"""A critic that says the same of every image."""

from __future__ import annotations

from typing import ClassVar

from gantune.config.loss_families import Family
from gantune.health.history import History
from gantune.health.rules.rule import Rule, Share, in_words
from gantune.health.verdict import Kind, Verdict
from gantune.io.formatting import figure


class CriticDead(Rule):
    """What a critic finds between real and generated images is nothing beside what it once found.

    A critic's loss is minus that difference, and near 0 by nature; not so at a share of its own
    earlier size that is beyond the precision of its outputs. A clipped critic can end so: its
    weights lie at the clip, and nothing of an image passes them.
    """

    name: ClassVar[str] = "critic_dead"
    kind: ClassVar[Kind] = "collapsed"
    families: ClassVar[frozenset[Family]] = frozenset({"critic"})

    loss: Share
    """Size of the critic's loss, which nine of ten ticks do not exceed, over the same of all ticks
    before."""
    patience: Share
    """Length of the window as a share of the budget."""

    def check(self, history: History) -> Verdict | None:
        window = history.window("d_loss", self.patience)
        before = history.before("d_loss", window.begin) if window else None
        if window is None or before is None:
            return None
        if before.reach == 0 or window.reach > self.loss * before.reach:
            return None
        return self.verdict(
            history,
            f"the critic's loss at {figure(window.reach)} or less for "
            f"{in_words(window.length, history.unit)}, where it was {figure(before.reach)}",
            window.begin,
        )
