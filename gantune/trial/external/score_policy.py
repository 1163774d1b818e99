"""``ScorePolicy``: what the trainer of the user's own may be scored by, and what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from gantune.data import ImageSet
from gantune.errors import TrainerError
from gantune.scores.evaluator import Evaluator
from gantune.scores.protocol import Protocol

ScoreKind = Literal["value", "images"]
"""A number of the trainer's own, or samples of which gantune takes the distance."""


@dataclass(frozen=True)
class ScorePolicy:
    """Under a search it is one of the two; outside any, a run's first score decides."""

    own: Protocol | None
    """Of a number that the trainer gives."""
    evaluator: Evaluator | None = None
    """Of samples that the trainer draws."""
    real: ImageSet | None = None
    """The images that these are compared with."""

    def check(self, kind: ScoreKind, before: ScoreKind | None) -> None:
        """Raises ``TrainerError`` for a score of another kind than the run's, which was ``before``
        where one was taken: two kinds are never ranked together."""
        if kind == "value" and self.own is None:
            raise TrainerError(
                "session.score(value): the runs of this space are ranked by the distance of their "
                "samples; call session.score(images=...), or name the number in the space: "
                "objective: {score: NAME}"
            )
        if kind == "images" and self.evaluator is None:
            if self.own is not None and self.own.score_name != "score":
                raise TrainerError(
                    "session.score(images=...): the runs of this space are ranked by a number of "
                    f"the trainer's own (objective: {{score: {self.own.score_name}}}); call "
                    "session.score(value), or leave objective.score out"
                )
            raise TrainerError(
                "session.score(images=...): no real images to compare with; name them in trial, "
                "such as data: {source: digits, resolution: 32}"
            )
        if before not in (None, kind):
            raise TrainerError(
                f"session.score: given {kind} now and {before} before; one run is scored in one "
                "way, for two kinds of score are never compared"
            )
