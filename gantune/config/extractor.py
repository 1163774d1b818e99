"""Which feature extractor is used, and the scores beside the first. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from gantune.errors import ScoreError
from gantune.io.trust import UserCode, remember
from gantune.io.validation import comma_list, did_you_mean

DINOV2 = ("dinov2", "dinov2-b14", "dinov2-l14")
"""DINOv2 by its sizes; the plain name is the size of the published FD-DINOv2, ViT-L/14."""

CHOICES = ("auto", "inception", *DINOV2, "classifier", "random", "points")
EXTRAPOLATED = ("fd_inf", "fid_inf")
"""Names of the score extrapolated to infinitely many samples."""

ScoreDtype = Literal["float32", "tf32", "bfloat16"]
"""What an extractor computes in."""

USER_NETWORK = "package.module:factory"
"""How a user's own network is named."""

_FURTHER = {"fid": "inception", "fd_dinov2": "dinov2"} | {
    name: name for name in ("inception", *DINOV2, "classifier", "random")
}
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


@dataclass(frozen=True)
class FurtherScores:
    """Scores that are taken beside the first one. They never rank, prune or choose."""

    extractors: tuple[ExtractorChoice, ...] = ()
    """Distances by these."""
    extrapolates: bool = False
    """Whether the first score is extrapolated to infinitely many samples."""

    @classmethod
    def of(cls, names: Sequence[str]) -> FurtherScores:
        """Reads names of extractors or scores: ``dinov2-b14``, ``fd_dinov2``, ``fid``, ``fd_inf``.

        ``NAME=FILE`` names the file of the extractor's weights. One name may be given alone. Raises
        ``ScoreError`` for others.
        """
        names = [names] if isinstance(names, str) else names
        found = [_further(name) for name in names if name not in EXTRAPOLATED]
        for choice in found:
            if [one.name for one in found].count(choice.name) > 1:
                raise ScoreError(f"{choice.name!r} is named twice")
        return cls(tuple(found), any(name in EXTRAPOLATED for name in names))

    def __bool__(self) -> bool:
        """Whether there are any."""
        return self != NO_FURTHER

    def remember(self) -> None:
        """Notes the user's own networks as named by the user, so that they may run."""
        for choice in self.extractors:
            choice.remember()


NO_FURTHER = FurtherScores()
"""No score beside the first one."""


def _further(text: str) -> ExtractorChoice:
    name, _, weights = text.partition("=")
    if _IMPORTABLE.fullmatch(name):
        return ExtractorChoice(name, weights or None)
    if name in EXTRAPOLATED:
        raise ScoreError(f"{text!r}: {name} is of the first score, and takes no file")
    if name not in _FURTHER:
        known = [*EXTRAPOLATED, *_FURTHER]
        near = did_you_mean(name, known) or f"; it is one of {comma_list(known)}, or {USER_NETWORK}"
        raise ScoreError(f"{name!r} is unknown{near}")
    return ExtractorChoice(_FURTHER[name], weights or None)


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
