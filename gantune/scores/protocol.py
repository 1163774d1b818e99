"""``Protocol``: everything that a score depends on beside the generator. Does not import torch."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from gantune.errors import RunError

MOST_REAL = 50_000
"""The most real images that enter the statistics, evenly spaced."""

MOST_KEPT = 10_000
"""The most images of either side for the metrics from pairs of images, whose cost is quadratic.
Naeem et al. 2020 use as many."""

_EXTERNAL = "own:"  # before the name of a score that an external trainer computes


@dataclass(frozen=True)
class Protocol:
    """How a score was computed. Scores of protocols with different hashes are not compared."""

    data: str
    """Content hash of the real images used for training."""
    resolution: int
    """Side of the images, pixels; 0 for points."""
    colour: Literal["gray", "rgb", "points", ""]
    """Channels of the images; ``points`` for points in the plane."""
    split: str
    """The part of the source, ``train`` or ``test``."""
    extractor: str
    """Name of the feature extractor, such as ``classifier-digits``."""
    weights: str
    """SHA-256 of the extractor's weights; the trainer's name for an external trainer's score."""
    accuracy: float | None
    """Share of held-out real images that the extractor classifies correctly; ``None`` without
    classes."""
    resize: str
    """How images are resized for the extractor."""
    dtype: str
    """Number format in which features are computed."""
    real: int
    """Number of real images."""
    generated: int
    """Number of generated images."""
    latent_seed: int | None
    """Seed of the latents; ``None`` for given images."""
    kept: int
    """Number of images of either side for the metrics from pairs of images."""
    recall_neighbours: int
    """The neighbour whose distance is the radius in precision and recall."""
    coverage_neighbours: int
    """The same for density and coverage."""
    held_out_data: str
    """Content hash of the held-out real images; empty without any."""

    @classmethod
    def external(cls, name: str, trainer: str) -> Protocol:
        """The protocol of a score ``name`` that an external trainer computes itself.

        Scores of two trainers are never compared, whatever their names are.
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
        """Whether an external trainer computed the score."""
        return self.extractor.startswith(_EXTERNAL)

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all fields."""
        return _hash(self)

    @property
    def score_name(self) -> str:
        """``fid`` only for the Inception network, else for instance ``fid[classifier-digits]``; the
        given name for an external trainer's score."""
        if self.is_external:
            return self.extractor.removeprefix(_EXTERNAL)
        return "fid" if self.extractor == "inception" else f"fid[{self.extractor}]"


def differing_fields(first: Protocol, second: Protocol) -> list[str]:
    """The fields in which two protocols differ, such as ``generated: 1000 against 2000``."""
    pairs = ((f.name, getattr(first, f.name), getattr(second, f.name)) for f in fields(Protocol))
    return [f"{name}: {one} against {other}" for name, one, other in pairs if one != other]


def differing_text(first: Protocol, second: Protocol) -> str:
    """``differing_fields`` for an error message: one line each, indented by two spaces."""
    return "\n".join(f"  {named}" for named in differing_fields(first, second))


@lru_cache(maxsize=256)
def _hash(protocol: Protocol) -> str:
    text = json.dumps(asdict(protocol), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


@lru_cache(maxsize=256)
def shared_protocol(fields: tuple[tuple[str, Any], ...]) -> Protocol:
    """Shares one object among all scores of a protocol: a study has thousands of scores."""
    return Protocol(**dict(fields))


def check_same_protocol(path: Path, earlier: Protocol, now: Protocol) -> None:
    """Raises ``RunError``, naming what differs, unless both are one protocol."""
    if earlier == now:
        return
    raise RunError(
        f"{path}: its scores were taken under another protocol; then against now:\n"
        f"{differing_text(earlier, now)}\n"
        "they cannot be compared; resume with the same images and extractor, or choose another "
        "folder with --out"
    )
