"""``Evaluator``: a generator's samples to a ``Score``."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.scores.distance import frechet_distance
from gantune.scores.features import Extractor
from gantune.scores.protocols import Protocols
from gantune.scores.score import Protocol, Score
from gantune.scores.statistics import BATCH, Statistics, collect, real_statistics

__all__ = ["Evaluator", "Sample"]

Sample = Callable[[int, torch.Generator], Tensor]
"""``sample(n, generator)``: n uint8 images [n, C, H, W] (points: float32 [n, 2]) on the device,
from latents that ``generator`` draws."""


class Evaluator:
    """Scores one study's generators against the statistics of its real images.

    Making an evaluator costs one pass over the real images the first time and the reading of a
    file afterwards.
    """

    def __init__(
        self,
        extractor: Extractor,
        images: ImageSet,
        protocols: Protocols,
        device: torch.device | str = "cpu",
    ) -> None:
        self.extractor = extractor
        self.protocols = protocols
        self._device = torch.device(device)
        self._shape = tuple(images.array.shape[1:])
        self._dtype = torch.float32 if images.is_points else torch.uint8
        extractor.module.to(self._device)
        self._real = real_statistics(extractor, images, protocols.full, self._device)

    def score(self, sample: Sample, *, full: bool = False) -> Score:
        """Scores a generator under the rung protocol, or the full one.

        Raises ``ScoreError`` where ``sample`` gives something else than was asked for and where
        features are not finite, so that a score is always a finite number.
        """
        protocol = self.protocols.full if full else self.protocols.rung
        batches = self._batches(sample, protocol)
        made = collect(self.extractor, batches, self._device, "generated samples")
        real = self._real
        return Score(
            value=frechet_distance(real, made),
            name=protocol.score_name,
            protocol=protocol.hash,
            generated=protocol.generated,
            spread=math.sqrt(made.variance / real.variance) if real.variance else 1.0,
            classes=self._shares(made),
            real_classes=self._shares(real),
        )

    def _batches(self, sample: Sample, protocol: Protocol) -> Iterator[Tensor]:
        generator = torch.Generator(self._device).manual_seed(protocol.latent_seed)
        for start in range(0, protocol.generated, BATCH):
            count = min(BATCH, protocol.generated - start)
            images = sample(count, generator)
            if images.dtype != self._dtype or images.shape != (count, *self._shape):
                raise ScoreError(
                    f"sample({count}) gave {images.dtype} {list(images.shape)}; "
                    f"{self._dtype} {[count, *self._shape]} was asked for"
                )
            yield images

    def _shares(self, sums: Statistics) -> Mapping[str, float] | None:
        names = self.extractor.classes
        return dict(zip(names, sums.shares, strict=True)) if names else None
