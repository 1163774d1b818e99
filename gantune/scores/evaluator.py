"""``Evaluator``: scores the samples of a generator under the protocols of a study."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from gantune.config.extractor import ScoreDtype
from gantune.data.decoding import Progress
from gantune.data.image_set import SUBSET_SEED, ImageSet
from gantune.errors import ScoreError, first_line
from gantune.gan.sampling import GRAY, save_grid
from gantune.scores.distances import (
    KernelSide,
    frechet_extrapolated,
    frechet_with_error,
    kernel_distance,
)
from gantune.scores.feature_statistics import BATCH, gather, subsample, subset_indices
from gantune.scores.features import Extractor
from gantune.scores.memorization import held_out_comparison
from gantune.scores.precision_recall import NeighbourBalls, nearest, overlap
from gantune.scores.real_features import RealFeatures, RealImages, real_features
from gantune.scores.score import (
    MOST_KEPT,
    MOST_REAL,
    FurtherScore,
    Protocol,
    Score,
    extrapolated_name,
)

Sample = Callable[[int, torch.Generator], Tensor]
"""``sample(n, generator)``: n uint8 images [n, C, H, W] (points: float32 [n, 2]) on the device,
from latents drawn with ``generator``."""

_RECALL_NEIGHBOURS = 3  # as in Kynkaanniemi et al. 2019
_COVERAGE_NEIGHBOURS = 5  # as in Naeem et al. 2020
_RUNG_LATENT_SEED = 1
_FULL_LATENT_SEED = 2
_SHOWN_SAMPLES = 8  # rows of the picture of neighbours
_SHOWN_NEIGHBOURS = 6  # training images in a row


class Neighbours(NamedTuple):
    """The training images that are nearest to samples in the extractor's features."""

    images: Tensor  # uint8 [n, most, C, H, W], nearest first
    distances: Tensor  # float64 [n, most]


@dataclass(frozen=True)
class Protocols:
    """``rung`` is for scores during training, ``full`` for the ranking. Their latents differ."""

    rung: Protocol
    full: Protocol


def make_protocols(
    extractor: Extractor,
    real: RealImages,
    *,
    rung_samples: int,
    samples: int,
    rung_dtype: ScoreDtype = "float32",
) -> Protocols:
    """The protocols of a study. Raises ``ScoreError`` for fewer than 2 samples.

    ``rung_dtype``: what the extractor computes in at rungs; in full scores it is float32.
    """
    for name, count in (("rung samples", rung_samples), ("samples", samples)):
        if count < 2:
            raise ScoreError(f"{name}: {count}; a distance needs at least 2 images")
    images, held_out = real.learned, real.held_out

    def protocol(generated: int, latent_seed: int, dtype: ScoreDtype) -> Protocol:
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
            dtype=dtype,
            real=count,
            generated=generated,
            latent_seed=latent_seed,
            kept=kept,
            recall_neighbours=min(_RECALL_NEIGHBOURS, kept - 1),
            coverage_neighbours=min(_COVERAGE_NEIGHBOURS, kept - 1),
            held_out_data="" if held_out is None else held_out.content_hash,
            subset_seed=SUBSET_SEED,
        )

    return Protocols(
        protocol(rung_samples, _RUNG_LATENT_SEED, rung_dtype),
        protocol(samples, _FULL_LATENT_SEED, "float32"),
    )


class Evaluator:
    """Scores the generators of one study against the features of its real images.

    The first evaluator for a data set computes the features of all real images; later ones read
    them from the cache. ``progress`` is called meanwhile with the images done and their total.
    """

    def __init__(
        self,
        extractor: Extractor,
        real: RealImages,
        protocols: Protocols,
        device: torch.device | str = "cpu",
        progress: Progress | None = None,
    ) -> None:
        self.extractor = extractor
        self.protocols = protocols
        self._device = torch.device(device)
        self._images = real.learned
        extractor.module.to(self._device)
        self._real = self._features(real.learned, progress)
        self._gaussian = self._real.gaussian.to(self._device)
        self._compare_held_out = None
        if real.held_out is not None:
            held_out, most = self._features(real.held_out, progress), protocols.full.generated
            self._compare_held_out = held_out_comparison(
                self._real.rows, held_out.rows, min(MOST_KEPT, most), self._device
            )
        self._real_sides: dict[Protocol, tuple[KernelSide, NeighbourBalls]] = {}

    def score(self, sample: Sample, *, full: bool = False, extrapolate: bool = False) -> Score:
        """Scores a generator under the rung protocol, or the full one.

        ``extrapolate``: also to infinitely many samples. Raises ``ScoreError`` where ``sample``
        returns other images than requested, and where a feature or a number of the score is not
        finite. So all numbers of a score are finite.
        """
        protocol = self.protocols.full if full else self.protocols.rung
        assert protocol.dtype, "an external trainer's score"
        made = gather(
            self.extractor,
            self._batches(sample, protocol),
            protocol.generated,
            MOST_KEPT,
            "generated samples",
            protocol.dtype,
        )
        distance = frechet_with_error(self._gaussian, made)
        also: tuple[FurtherScore, ...] = ()
        if extrapolate:
            limit = frechet_extrapolated(self._gaussian, made, distance)
            name = extrapolated_name(protocol.score_name)
            also = (FurtherScore(name, *limit, protocol),)
        if protocol not in self._real_sides:
            rows = subsample(self._real.rows, protocol.kept).to(self._device)
            self._real_sides[protocol] = KernelSide.of(rows), _balls(rows, protocol)
        real_kernel, real_balls = self._real_sides[protocol]
        rows = subsample(made.rows, protocol.kept)
        kernel = kernel_distance(real_kernel, KernelSide.of(rows))
        variance = self._gaussian.variance
        score = Score(
            value=distance.value,
            protocol=protocol,
            error=distance.error,
            kid=kernel.value,
            kid_error=kernel.error,
            **overlap(real_balls, _balls(rows, protocol))._asdict(),
            spread=math.sqrt(made.variance / variance) if variance else 1.0,
            classes=self._class_shares(made.classes),
            real_classes=self._class_shares(self._real.classes),
            held_out=self._compare_held_out(made) if full and self._compare_held_out else None,
            also=also,
        )
        _check_finite(score)
        return score

    def try_rung_dtype(self) -> None:
        """Raises ``ScoreError`` where the extractor cannot compute in the rungs' number format."""
        dtype = self.protocols.rung.dtype
        assert dtype
        images = torch.tensor(self._images.array[:2], device=self._device)
        try:
            gather(self.extractor, [images], len(images), len(images), "two images", dtype)
        except Exception as error:  # a user's network can raise anything
            raise ScoreError(
                f"objective.rung_precision: extractor {self.extractor.name} cannot compute in "
                f"{dtype}: {first_line(error)}"
            ) from error

    def nearest_training(self, images: Tensor, most: int) -> Neighbours:
        """The ``most`` nearest real images of each of ``images``, given as ``Sample`` returns them.

        Searches only the images that enter the statistics: up to 50,000.
        """
        number = len(images)
        made = gather(self.extractor, torch.split(images, BATCH), number, number, "samples")
        count = len(self._real.rows)
        found = nearest(made.rows, self._real.rows, min(most, count))
        places = subset_indices(len(self._images), count)[found.places.cpu()]
        pictures = torch.from_numpy(self._images.array[places.flatten().numpy()])
        return Neighbours(pictures.view(*places.shape, *pictures.shape[1:]), found.distance.cpu())

    def _features(self, images: ImageSet, progress: Progress | None) -> RealFeatures:
        protocol = replace(
            self.protocols.full,
            data=images.content_hash,
            split=images.split,
            real=min(len(images), MOST_REAL),
        )
        return real_features(self.extractor, images, protocol, self._device, progress)

    def _batches(self, sample: Sample, protocol: Protocol) -> Iterator[Tensor]:
        generator = torch.Generator(self._device).manual_seed(protocol.latent_seed or 0)
        shape = tuple(self._images.array.shape[1:])
        dtype = torch.float32 if self._images.is_points else torch.uint8
        for start in range(0, protocol.generated, BATCH):
            count = min(BATCH, protocol.generated - start)
            images = sample(count, generator)
            if images.dtype != dtype or images.shape != (count, *shape):
                raise ScoreError(
                    f"sample({count}) returned {images.dtype} {list(images.shape)}; "
                    f"{dtype} {[count, *shape]} was requested"
                )
            yield images

    def _class_shares(self, counts: Sequence[int]) -> Mapping[str, float] | None:
        shares = [number / sum(counts) for number in counts]
        names = self.extractor.classes
        return dict(zip(names, shares, strict=True)) if names else None


def _check_finite(score: Score) -> None:
    numbers = dict(vars(score))
    if score.held_out is not None:
        numbers |= {f"held-out {name}": number for name, number in vars(score.held_out).items()}
    for name, number in numbers.items():
        if isinstance(number, float) and not math.isfinite(number):
            raise ScoreError(
                f"{score.name}: {name} is not finite, so there is no score: the features are too "
                f"large to be multiplied (extractor {score.protocol.extractor})"
            )


def _balls(rows: Tensor, protocol: Protocol) -> NeighbourBalls:
    return NeighbourBalls.of(rows, protocol.recall_neighbours, protocol.coverage_neighbours)


def draw_neighbours(evaluator: Evaluator, samples: Tensor, path: Path | str) -> None:
    """Writes a PNG that compares samples with their nearest training images, to show copies.

    It has a row for each of the eight samples that are nearest to a training image in the
    extractor's features, the nearest first: the sample, a blank tile, and up to six training
    images, nearest first. ``samples``: uint8 [N, C, H, W], 2 or more. Raises ``ScoreError`` where
    their features are not finite, ``OSError`` where the picture cannot be written.
    """
    found = evaluator.nearest_training(samples, _SHOWN_NEIGHBOURS)
    order = found.distances[:, 0].argsort(stable=True)[:_SHOWN_SAMPLES]
    near = found.images[order]  # [rows, nearest, C, H, W]
    shown = samples.cpu()[order].unsqueeze(1)
    rows = torch.cat([shown, torch.full_like(shown, GRAY), near], dim=1)
    save_grid(rows.flatten(0, 1), path, columns=rows.shape[1])
