"""``ExtractorChoice``: which feature extractor to use. Imports no torch."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantune.errors import ScoreError
from gantune.io.trust import UserCode, remember
from gantune.io.validation import comma_list, did_you_mean

DINOV2 = ("dinov2", "dinov2-b14", "dinov2-l14")
"""DINOv2 by its sizes; the plain name is the size of the published FD-DINOv2, ViT-L/14."""

CHOICES = ("auto", "inception", *DINOV2, "classifier", "random", "points")
USER_NETWORK = "package.module:factory"
"""How a user's own network is named."""

_IMPORTABLE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*:[^\W\d]\w*(\.[^\W\d]\w*)*")


@dataclass(frozen=True)
class ExtractorChoice:
    """Raises ``ScoreError`` for an unknown name or an impossible combination."""

    name: str = "auto"
    """One of ``CHOICES``, or ``package.module:factory``."""
    weights: str | None = None
    """File of the weights of Inception or DINOv2; ``None``: the published one, which is downloaded.
    A file without a name selects Inception."""
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
    """(message, field) of each setting that the named extractor does not have."""
    rest = f", and the extractor is {name!r}; leave it out, or take inception"
    found = []
    if weights is not None and name not in ("auto", "inception", *DINOV2):
        found.append((f"is for inception and dinov2 alone{rest} or dinov2", "weights"))
    if resize != "legacy" and name not in ("auto", "inception"):
        found.append((f"is for the Inception network alone{rest}", "resize"))
    return found
