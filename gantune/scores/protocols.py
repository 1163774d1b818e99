"""The two protocols of a study: a cheap one for rungs and the full one for what is ranked."""

from __future__ import annotations

from dataclasses import dataclass

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.scores.extractors import Extractor
from gantune.scores.score import Protocol

__all__ = ["MOST_REAL", "Protocols", "make_protocols"]

MOST_REAL = 50_000
"""Most real images that enter the statistics; of more, so many are taken at even distances."""

_RUNG_LATENT_SEED = 1
_FULL_LATENT_SEED = 2


@dataclass(frozen=True)
class Protocols:
    """``rung`` chooses, ``full`` is what is ranked; they draw different latents."""

    rung: Protocol
    full: Protocol


def make_protocols(
    extractor: Extractor, images: ImageSet, *, rung_samples: int, samples: int
) -> Protocols:
    """The protocols of a study. Raises ``ScoreError`` where fewer than 2 images are asked for."""
    for name, count in (("rung samples", rung_samples), ("samples", samples)):
        if count < 2:
            raise ScoreError(f"objective: {name}: {count}: a distance needs 2 images or more")

    def protocol(generated: int, latent_seed: int) -> Protocol:
        return Protocol(
            data=images.content_hash,
            resolution=images.resolution,
            colour=images.colour,
            split=images.split,
            extractor=extractor.name,
            weights=extractor.weights_hash,
            resize=extractor.resize,
            dtype="float32",
            real=min(len(images), MOST_REAL),
            generated=generated,
            latent_seed=latent_seed,
        )

    return Protocols(
        protocol(rung_samples, _RUNG_LATENT_SEED), protocol(samples, _FULL_LATENT_SEED)
    )
