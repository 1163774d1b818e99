"""``Protocol``: how a score was taken, and ``Score``: the number with all that it depends on."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

__all__ = ["Protocol", "Score"]


@dataclass(frozen=True)
class Protocol:
    """All that a score depends on beside the generator. Scores of two hashes are not compared."""

    data: str
    """Content hash of the real images, as they are learned."""
    resolution: int
    """Side of the images, pixels; 0 for points."""
    colour: Literal["gray", "rgb", "points"]
    split: str
    extractor: str
    """Name of the feature extractor, such as ``classifier-digits``."""
    weights: str
    """SHA-256 of the extractor's weights."""
    resize: str
    """How images are brought to the extractor's size."""
    dtype: str
    """Number format in which features are computed."""
    real: int
    """Count of real images."""
    generated: int
    """Count of generated images."""
    latent_seed: int
    """Seed of the latents."""

    @property
    def hash(self) -> str:
        """First 12 hexadecimal digits of the SHA-256 of all fields."""
        text = json.dumps(asdict(self), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def score_name(self) -> str:
        """``fid`` for the Inception network alone, else ``fid[classifier-digits]`` and the like."""
        return "fid" if self.extractor == "inception" else f"fid[{self.extractor}]"


@dataclass(frozen=True)
class Score:
    """A Frechet distance (Heusel et al. 2017, eq. 6) and what stands beside it; lower is better."""

    value: float
    name: str
    protocol: str
    """Hash of the protocol."""
    generated: int
    """Count of generated images."""
    spread: float
    """Spread of generated features as a share of the real ones': root of the ratio of the traces of
    their covariances. Near 0 when all samples look alike."""
    classes: Mapping[str, float] | None = None
    """Share of the samples that the extractor takes for each class, where it knows classes."""
    real_classes: Mapping[str, float] | None = None
    """The same shares of the real images."""

    def to_dict(self) -> dict[str, Any]:
        """A plain mapping for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, tree: Mapping[str, Any]) -> Score:
        """Reads back what ``to_dict`` gave."""
        return cls(**tree)
