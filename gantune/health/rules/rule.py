"""``Rule``, the base class of all rules, and the ``Verdict`` that a rule returns."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, get_args

from pydantic import Field

from gantune.config.loss_families import Family
from gantune.config.sections import ConfigModel
from gantune.health.course import Course, Need
from gantune.health.history import History, Unit

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]

Kind = Literal["diverged", "collapsed", "stalled"]


@dataclass(frozen=True)
class Verdict:
    """What is wrong with a run, since when, and the evidence.

    ``diverged``: losses or gradients left all bounds; ``collapsed``: one player has lost, the
    samples have lost their variety or the score got worse for good; ``stalled``: it never learned.
    """

    kind: Kind
    """How the run failed, one of the three above."""
    rule: str
    """Name of the rule that found it, such as ``discriminator_won``."""
    at: float
    """Where it was found, in ``unit``: kimg, or steps of the trainer that wrote the log."""
    sentence: str
    """The evidence as text, with its numbers."""
    since: float = 0.0
    """Where the evidence begins, in ``unit``."""
    unit: Unit = "kimg"
    """What ``at`` and ``since`` count: kimg, or steps."""


LABELS = {
    "d_loss": "D loss",
    "g_loss": "G loss",
    "d_real": "D on real images",
    "d_fake": "D on generated images",
    "d_grad": "the gradient norm of D",
    "g_grad": "the gradient norm of G",
}
"""The names of signals in a verdict's sentence."""


class Rule(ConfigModel, ABC):
    """One way in which training fails. The fields are thresholds; a rule has no state."""

    name: ClassVar[str]
    kind: ClassVar[Kind]
    families: ClassVar[frozenset[Family]] = frozenset(get_args(Family))
    """Families of losses that the rule applies to."""
    is_instant: ClassVar[bool] = False
    """Whether the rule is checked at every tick, also in a run with very many of them."""

    judges_end: ClassVar[bool] = False
    """Whether the rule is checked at the end of the budget too, where nothing is left to save."""

    @classmethod
    def is_about_pace(cls) -> bool:
        """Whether the rule says that a run is too slow, and not that it broke. A search does not
        stop a run for that whose score is in the better half at its rung."""
        return cls.kind == "stalled"

    @abstractmethod
    def need(self, course: Course) -> Need:
        """What the rule waits for longest in a run with this course: before that ``check`` gives
        ``None`` for any numbers."""

    @abstractmethod
    def check(self, history: History) -> Verdict | None:
        """Judges a run at its current place: a verdict, or ``None`` where it looks healthy."""

    def remark(self, history: History) -> str:
        """What is odd about a run that has no verdict; empty where there is nothing to tell."""
        return ""

    def verdict(self, history: History, sentence: str, since: float) -> Verdict:
        """Makes this rule's verdict. ``since``: where the evidence begins."""
        return Verdict(self.kind, self.name, history.now, sentence, since, history.unit)
