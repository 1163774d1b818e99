"""Compares samples with training and held-out images, to find copies of training images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantune.scores.distances import Gaussian, frechet_distance
from gantune.scores.feature_statistics import Features, subsample
from gantune.scores.precision_recall import nearest
from gantune.scores.real_features import RealFeatures
from gantune.scores.score import HeldOut

_MOST_COMPARED = 2000  # on either side; gives the share to within 0.01


@dataclass(frozen=True)
class HeldOutSide:
    """The part computed once, from the held-out images and as many training images."""

    training: RealFeatures
    held_out_gaussian: Gaussian
    training_gaussian: Gaussian
    count: int
    between: float
    from_training: Tensor  # [up to 2,000] float64: held-out images to their nearest training image

    @classmethod
    def of(
        cls, training: RealFeatures, held_out: RealFeatures, most: int, device: torch.device
    ) -> HeldOutSide:
        """Uses at most ``most`` evenly spaced images of each."""
        count = min(training.count, held_out.count, most)
        unseen = Features(held_out.subsample(count).to(device), count)
        seen = Gaussian.of(Features(training.subsample(count).to(device), count))
        return cls(
            training=training,
            held_out_gaussian=Gaussian.of(unseen),
            training_gaussian=seen,
            count=count,
            between=frechet_distance(seen, unseen),
            from_training=_from_training(training, held_out.rows.to(device)),
        )

    def compare(self, made: Features) -> HeldOut:
        """Distances of the samples to both sets, all with ``count`` images."""
        rows = subsample(made.rows, min(len(made.rows), self.count))
        samples = Features(rows, len(rows))
        nearer, deviations = _mann_whitney(
            _from_training(self.training, made.rows), self.from_training
        )
        return HeldOut(
            count=self.count,
            value=frechet_distance(self.held_out_gaussian, samples),
            training=frechet_distance(self.training_gaussian, samples),
            between=self.between,
            nearer_training=nearer,
            copying=deviations,
        )


def _from_training(training: RealFeatures, rows: Tensor) -> Tensor:
    """Distance of each row to its nearest training image."""
    return nearest(subsample(rows, min(len(rows), _MOST_COMPARED)), training.rows).distance[:, 0]


def _mann_whitney(samples: Tensor, held_out: Tensor) -> tuple[float, float]:
    """Share of pairs in which the sample is nearer, and its standard deviations from 1/2."""
    n, m = len(samples), len(held_out)
    ranked = held_out.sort().values
    farther = m - torch.searchsorted(ranked, samples, right=True)
    level = m - torch.searchsorted(ranked, samples) - farther
    share = float((farther + level / 2).double().mean()) / m
    return share, (share - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))
