"""What may stand in one ranking. No torch here."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from gantune.errors import RunError


def differing_fields(first: Protocol, second: Protocol) -> list[str]:
    """The fields in which two protocols differ: ``generated: 1000 against 2000``, and the like."""
    pairs = ((f.name, getattr(first, f.name), getattr(second, f.name)) for f in fields(Protocol))
    return [f"{name}: {one} against {other}" for name, one, other in pairs if one != other]


def differing_text(first: Protocol, second: Protocol) -> str:
    """The same for an error: a line each, indented by two."""
    return "\n".join(f"  {named}" for named in differing_fields(first, second))


# The two protocols of a study: a cheap one for rungs and the full one for what is ranked.


MOST_REAL = 50_000
"""Most real images that enter the statistics; of more, so many are taken at even distances."""


MOST_KEPT = 10_000
"""Most images of either side that enter the companions: their cost grows with the square. Naeem et
al. 2020 take as many."""


@dataclass(frozen=True)
class Protocol:
    """All that a score depends on beside the generator. Scores of two hashes are not compared."""

    data: str
    """Content hash of the real images, as they are learned."""
    resolution: int
    """Side of the images, pixels; 0 for points."""
    colour: Literal["gray", "rgb", "points", ""]
    """Channels of the images; ``points`` for points in the plane."""
    split: str
    """The part of the source, ``train`` or ``test``."""
    extractor: str
    """Name of the feature extractor, such as ``classifier-digits``."""
    weights: str
    """SHA-256 of the extractor's weights; of a trainer's own score the trainer."""
    accuracy: float | None
    """Share of held-out real images that the extractor classifies rightly; ``None`` without
    classes."""
    resize: str
    """How images are brought to the extractor's size."""
    dtype: str
    """Number format in which features are computed."""
    real: int
    """Count of real images."""
    generated: int
    """Count of generated images."""
    latent_seed: int | None
    """Seed of the latents; ``None`` for images that somebody else drew."""
    kept: int
    """Count of images of either side that enter the companions of the Frechet distance."""
    recall_neighbours: int
    """Which nearest neighbour gives the radius in precision and recall."""
    coverage_neighbours: int
    """The same for density and coverage."""
    held_out_data: str
    """Content hash of the real images that were never trained on; empty without any."""

    @classmethod
    def external(cls, name: str, trainer: str) -> Protocol:
        """Of a score that a trainer of one's own gives and calls ``name``: nothing else is known.

        Two trainers' scores are never compared, whatever they call them.
        """
        return cls(
            data="",
            resolution=0,
            colour="",
            split="",
            extractor=f"{_EXTERNAL}{name}",
            weights=trainer,
            accuracy=None,
            resize="",
            dtype="",
            real=0,
            generated=0,
            latent_seed=None,
            kept=0,
            recall_neighbours=0,
            coverage_neighbours=0,
            held_out_data="",
        )

    @property
    def is_external(self) -> bool:
        """Whether the user's own trainer gave the score."""
        return self.extractor.startswith(_EXTERNAL)

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all fields."""
        return _hash(self)

    @property
    def score_name(self) -> str:
        """``fid`` for the Inception network alone, else ``fid[classifier-digits]`` and the like; of
        a trainer's own score its name."""
        if self.is_external:
            return self.extractor.removeprefix(_EXTERNAL)
        return "fid" if self.extractor == "inception" else f"fid[{self.extractor}]"


_EXTERNAL = "own:"  # before the name of a score that a trainer gives itself


@lru_cache(maxsize=256)
def _hash(protocol: Protocol) -> str:
    text = json.dumps(asdict(protocol), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=256)
def _protocol(fields: tuple[tuple[str, Any], ...]) -> Protocol:
    """One object for all scores of one protocol: a study has thousands of them."""
    return Protocol(**dict(fields))


def check_same_protocol(path: Path, earlier: Protocol, now: Protocol) -> None:
    """Raises ``RunError``, naming what differs, unless both are one protocol."""
    if earlier == now:
        return
    raise RunError(
        f"{path}: its scores were taken under another protocol; then against now:\n"
        f"{differing_text(earlier, now)}\n"
        "they cannot be compared; go on with the images and the extractor as they were, or choose "
        "another folder with --out"
    )
