"""``ExtractorChoice``: which feature extractor is asked for. No torch here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from gantune.errors import ScoreError
from gantune.io.validation import comma_list, did_you_mean

CHOICES = ("auto", "inception", "classifier", "random", "points")


USER_NETWORK = "package.module:factory"
"""How a network of one's own is named."""


_IMPORTABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class ExtractorChoice:
    """What is asked for. Raises ``ScoreError`` for a name or a combination that cannot be."""

    name: str = "auto"
    """One of ``CHOICES``, or ``package.module:factory``."""
    weights: str | None = None
    """File of the Inception network's weights, which asks for that network; ``None``:
    torch-fidelity's own download."""
    resize: Literal["legacy", "antialias"] = "legacy"
    """How Inception's images are brought to 299 pixels: ``legacy``, as TensorFlow 1 did and as
    published FIDs have it, or ``antialias``."""

    def __post_init__(self) -> None:
        if wrong := wrong_name(self.name):
            raise ScoreError(f"extractor: {wrong}")
        for message, place in out_of_place(self.name, self.weights, self.resize):
            raise ScoreError(f"{place}: {message}")

    @property
    def is_user_network(self) -> bool:
        """Whether the name is ``package.module:factory``."""
        return ":" in self.name


def wrong_name(name: str) -> str:
    """What is wrong with an extractor's name, with the nearest that is right; empty if nothing."""
    if name in CHOICES or _IMPORTABLE.fullmatch(name):
        return ""
    if ":" in name:
        return f"{name!r} is no network of one's own; write {USER_NETWORK}"
    near = did_you_mean(name, CHOICES) or f"; it is one of {comma_list(CHOICES)}, or {USER_NETWORK}"
    return f"{name!r} is unknown{near}"


def out_of_place(name: str, weights: str | None, resize: str) -> list[tuple[str, str]]:
    """What is set for Inception although another extractor is named: (message, field) of each."""
    if name in ("auto", "inception"):
        return []
    given = [("weights", weights is not None), ("resize", resize != "legacy")]
    message = (
        f"is for the Inception network alone, and the extractor is {name!r}; leave it out, or take "
        "inception"
    )
    return [(message, field) for field, is_given in given if is_given]
