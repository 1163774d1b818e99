"""Compares samples with training and held-out images, to find copies of training images."""

import math
from collections.abc import Callable

import torch
from torch import Tensor

from gantune.scores.distances import Gaussian, frechet_distance
from gantune.scores.feature_statistics import Features, subsample
from gantune.scores.precision_recall import nearest
from gantune.scores.score import HeldOut

_MOST_COMPARED = 2000  # on either side; gives the share to within 0.01


def held_out_comparison(
    training: Tensor, held_out: Tensor, most: int, device: torch.device
) -> Callable[[Features], HeldOut]:
    """What compares samples with training and held-out images, by the features of these [N, D].

    Computes once what does not depend on the samples. Uses at most ``most`` images of each side,
    chosen at random, for the distances, all of the same number.
    """
    count = min(len(training), len(held_out), most)
    unseen = Features(subsample(held_out, count).to(device), count)
    seen = Gaussian.of(Features(subsample(training, count).to(device), count))
    unseen_gaussian, between = Gaussian.of(unseen), frechet_distance(seen, unseen)

    def from_training(rows: Tensor) -> Tensor:
        """Distance of up to 2,000 rows to their nearest training image, float64."""
        return nearest(subsample(rows, min(len(rows), _MOST_COMPARED)), training).distance[:, 0]

    held_out_from_training = from_training(held_out.to(device))

    def compare(made: Features) -> HeldOut:
        rows = subsample(made.rows, min(len(made.rows), count))
        samples = Features(rows, len(rows))
        nearer, deviations = _mann_whitney(from_training(made.rows), held_out_from_training)
        return HeldOut(
            count=count,
            value=frechet_distance(unseen_gaussian, samples),
            training=frechet_distance(seen, samples),
            between=between,
            nearer_training=nearer,
            copying=deviations,
        )

    return compare


def _mann_whitney(samples: Tensor, held_out: Tensor) -> tuple[float, float]:
    """Share of pairs in which the sample is nearer, and its standard deviations from 1/2."""
    n, m = len(samples), len(held_out)
    ranked = held_out.sort().values
    farther = m - torch.searchsorted(ranked, samples, right=True)
    level = m - torch.searchsorted(ranked, samples) - farther
    share = float((farther + level / 2).double().mean()) / m
    return share, (share - 0.5) / math.sqrt((n + m + 1) / (12 * n * m))
