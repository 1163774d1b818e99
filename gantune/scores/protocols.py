"""The two protocols of a study: a cheap one for rungs and the full one for what is ranked."""

from __future__ import annotations

from dataclasses import dataclass

from gantune.errors import ScoreError
from gantune.scores.features import Extractor
from gantune.scores.real import RealImages
from gantune.scores.score import Protocol

__all__ = ["MOST_KEPT", "MOST_REAL", "Protocols", "make_protocols"]

MOST_REAL = 50_000
"""Most real images that enter the statistics; of more, so many are taken at even distances."""

MOST_KEPT = 10_000
"""Most images of either side that enter the companions: their cost grows with the square. Naeem et
al. 2020 take as many."""

_RECALL_NEIGHBOURS = 3  # as in Kynkaanniemi et al. 2019
_COVERAGE_NEIGHBOURS = 5  # as in Naeem et al. 2020
_RUNG_LATENT_SEED = 1
_FULL_LATENT_SEED = 2


@dataclass(frozen=True)
class Protocols:
    """``rung`` chooses, ``full`` is what is ranked; they draw different latents."""

    rung: Protocol
    full: Protocol


def make_protocols(
    extractor: Extractor, real: RealImages, *, rung_samples: int, samples: int
) -> Protocols:
    """The protocols of a study. Raises ``ScoreError`` where fewer than 2 images are asked for."""
    for name, count in (("rung samples", rung_samples), ("samples", samples)):
        if count < 2:
            raise ScoreError(f"{name}: {count}; a distance needs 2 images or more")
    images, held_out = real.learned, real.held_out

    def protocol(generated: int, latent_seed: int) -> Protocol:
        count = min(len(images), MOST_REAL)
        kept = min(count, generated, MOST_KEPT)
        return Protocol(
            data=images.content_hash,
            resolution=images.resolution,
            colour=images.colour,
            split=images.split,
            extractor=extractor.name,
            weights=extractor.weights_hash,
            accuracy=extractor.accuracy,
            resize=extractor.resize,
            dtype="float32",
            real=count,
            generated=generated,
            latent_seed=latent_seed,
            kept=kept,
            recall_neighbours=min(_RECALL_NEIGHBOURS, kept - 1),
            coverage_neighbours=min(_COVERAGE_NEIGHBOURS, kept - 1),
            held_out_data="" if held_out is None else held_out.content_hash,
        )

    return Protocols(
        protocol(rung_samples, _RUNG_LATENT_SEED), protocol(samples, _FULL_LATENT_SEED)
    )
