"""``ExtractorChoice``: which feature extractor to use. Imports no torch."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantune.errors import ScoreError
from gantune.io.trust import UserCode, remember
from gantune.io.validation import comma_list, did_you_mean

CHOICES = ("auto", "inception", "classifier", "random", "points")
USER_NETWORK = "package.module:factory"
"""How a user's own network is named."""

_IMPORTABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class ExtractorChoice:
    """Raises ``ScoreError`` for an unknown name or an impossible combination."""

    name: str = "auto"
    """One of ``CHOICES``, or ``package.module:factory``."""
    weights: str | None = None
    """File of the Inception network's weights; ``None``: the one that torch-fidelity downloads. A
    file selects that network."""
    resize: Literal["legacy", "antialias"] = "legacy"
    """How images are resized to Inception's 299 pixels: ``legacy``, as in TensorFlow 1 and
    published FIDs, or ``antialias``."""

    def __post_init__(self) -> None:
        if wrong := wrong_name(self.name):
            raise ScoreError(f"extractor: {wrong}")
        for message, place in out_of_place(self.name, self.weights, self.resize):
            raise ScoreError(f"{place}: {message}")

    @property
    def is_user_network(self) -> bool:
        """Whether the name is ``package.module:factory``."""
        return ":" in self.name

    def remember(self) -> None:
        """Notes a network of the user's own as one that the user has named, so that it may run."""
        if self.is_user_network:
            remember(UserCode(self.name, Path.cwd()))


def wrong_name(name: str) -> str:
    """The error in an extractor's name, with the nearest valid one; empty if there is none."""
    if name in CHOICES or _IMPORTABLE.fullmatch(name):
        return ""
    if ":" in name:
        return f"{name!r} is no network of one's own; write {USER_NETWORK}"
    near = did_you_mean(name, CHOICES) or f"; it is one of {comma_list(CHOICES)}, or {USER_NETWORK}"
    return f"{name!r} is unknown{near}"


def out_of_place(name: str, weights: str | None, resize: str) -> list[tuple[str, str]]:
    """(message, field) of each setting for Inception although another extractor is named."""
    if name in ("auto", "inception"):
        return []
    given = [("weights", weights is not None), ("resize", resize != "legacy")]
    message = (
        f"is for the Inception network alone, and the extractor is {name!r}; leave it out, or take "
        "inception"
    )
    return [(message, field) for field, is_given in given if is_given]
