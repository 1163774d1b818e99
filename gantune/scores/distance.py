"""The Frechet distance between two sums of features: torchmetrics' own."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from gantune.errors import ScoreError
from gantune.scores.statistics import Statistics

__all__ = ["frechet_distance"]


class _Given(nn.Module):
    """Stands where torchmetrics wants a network: the features are summed already."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.num_features = num_features

    def forward(self, features: Tensor) -> Tensor:
        return features


def frechet_distance(real: Statistics, generated: Statistics) -> float:
    """The distance of Heusel et al. 2017, eq. 6, in float64, as torchmetrics computes it.

    Raises ``ScoreError`` where either side has fewer than 2 images or the result is not finite.
    """
    # Imported here, as it costs a second.
    from torchmetrics.image.fid import FrechetInceptionDistance

    if min(real.count, generated.count) < 2:
        raise ScoreError("a distance needs 2 images or more on either side")
    metric = FrechetInceptionDistance(feature=_Given(len(real.total)))
    for side, sums in (("real", real), ("fake", generated)):
        setattr(metric, f"{side}_features_sum", sums.total)
        setattr(metric, f"{side}_features_cov_sum", sums.products)
        setattr(metric, f"{side}_features_num_samples", torch.tensor(sums.count))
    metric.orig_dtype = torch.float64
    metric._update_count = 1
    try:
        value = float(metric.compute())
    except RuntimeError as error:  # LAPACK's, where the eigenvalues do not converge
        raise ScoreError(f"the Frechet distance cannot be computed: {error}") from None
    if not math.isfinite(value):
        raise ScoreError("the Frechet distance is not finite; no score can be taken")
    return value
