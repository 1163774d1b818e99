"""``Rule``: what all rules share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Annotated, ClassVar, get_args

from pydantic import BaseModel, ConfigDict, Field

from gantune.config.loss_families import Family
from gantune.health.history import History
from gantune.health.verdict import Kind, Unit, Verdict
from gantune.io.formatting import figure

Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(gt=0, le=1)]

LABELS = {
    "d_loss": "D loss",
    "g_loss": "G loss",
    "d_real": "D on real images",
    "d_fake": "D on generated images",
    "d_grad": "the gradient norm of D",
    "g_grad": "the gradient norm of G",
}
"""What a sentence calls the signals."""


class Rule(BaseModel, ABC):
    """One way in which a run dies. Its fields are its thresholds; it keeps no state."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, allow_inf_nan=False, use_attribute_docstrings=True
    )

    name: ClassVar[str]
    kind: ClassVar[Kind]
    families: ClassVar[frozenset[Family]] = frozenset(get_args(Family))
    """Families of losses that it judges."""
    is_instant: ClassVar[bool] = False
    """Whether it is asked at every tick, however many a run has."""

    @abstractmethod
    def check(self, history: History) -> Verdict | None:
        """The verdict on a run at the point it has come to, or ``None`` while it may be alive."""

    def verdict(self, history: History, sentence: str, since: float) -> Verdict:
        """This rule's verdict, with its evidence and where that begins."""
        return Verdict(self.kind, self.name, history.now, sentence, since, history.unit)


def in_words(length: float, unit: Unit) -> str:
    """A length or place of a run: ``12 kimg``, ``40,000 steps``."""
    return f"{figure(length)} {'kimg' if unit == 'kimg' else 'steps'}"
