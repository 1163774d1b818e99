"""The Frechet distance between two sets of features, and its standard error."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gantune.errors import ScoreError
from gantune.scores.gathering import Features, some

__all__ = ["Distance", "Gaussian", "frechet_distance"]

_MOST_INFLUENCES = 2000  # enough for their spread to within 2%
_ROUNDING = torch.finfo(torch.float64).eps


class Distance(NamedTuple):
    """A distance and the standard error that comes of drawing one side at random."""

    value: float
    error: float


@dataclass(frozen=True)
class Gaussian:
    """The real side of a Frechet distance: its costly part, computed once.

    ``root`` is the symmetric square root of the covariance, so that the covariance is its square.
    """

    mean: Tensor  # [D] float64
    root: Tensor  # [D, D] float64

    @classmethod
    def of(cls, features: Features) -> Gaussian:
        """That of all the features."""
        values, vectors = _spectrum(features.covariance)
        return cls(features.mean, vectors * values.sqrt() @ vectors.T)

    @property
    def variance(self) -> float:
        """Trace of the covariance."""
        return float(self.root.square().sum())

    def to(self, device: torch.device) -> Gaussian:
        """The same on another device."""
        return Gaussian(self.mean.to(device), self.root.to(device))


def frechet_distance(real: Gaussian, made: Features) -> Distance:
    """The distance of Heusel et al. 2017, eq. 6, in float64, never negative.

    With the root R of the real covariance, the trace of (C_real C_made)^(1/2) is that of
    M^(1/2) for the symmetric M = R C_made R, which needs no more than a symmetric solver. Of fewer
    samples than dimensions, X centred, X R R X' has the same eigenvalues and is smaller.

    The standard error is that of the samples' drawing, the real side being given: the spread of
    the samples' influences on the distance (infinitesimal jackknife, Jaeckel 1972). It knows
    nothing of the distance's bias, which falls with the count of samples.

    Raises ``ScoreError`` where the result is not finite.
    """
    apart = made.mean - real.mean
    if made.is_whole and made.count <= len(made.mean):
        rows = made.rows.double() - made.mean
        variance = float(rows.square().sum()) / (made.count - 1)
        trace, pulls = _by_samples(real, rows)
    else:
        rows = some(made.rows, min(len(made.rows), _MOST_INFLUENCES)).double() - made.mean
        variance = float(made.covariance.trace())
        trace, pulls = _by_dimensions(real, made.covariance, rows)
    value = float(apart.square().sum()) + real.variance + variance - 2 * trace
    influences = 2 * rows @ apart + rows.square().sum(dim=1) - pulls
    error = float(influences.std()) / math.sqrt(made.count)
    if not math.isfinite(value) or not math.isfinite(error):
        raise ScoreError("the Frechet distance is not finite; no score can be taken")
    return Distance(max(value, 0.0), error)


def _by_samples(real: Gaussian, rows: Tensor) -> tuple[float, Tensor]:
    """Trace of M^(1/2), and what each row adds to it: [K, K] is solved."""
    moved = rows @ real.root
    values, vectors = _spectrum(moved @ moved.T / (len(rows) - 1))
    roots = values.sqrt()
    return float(roots.sum()), (len(rows) - 1) * (vectors.square() @ roots)


def _by_dimensions(real: Gaussian, covariance: Tensor, rows: Tensor) -> tuple[float, Tensor]:
    """The same, [D, D] being solved."""
    values, vectors = _spectrum(real.root @ covariance @ real.root)
    roots = values.sqrt()
    inverse = torch.where(roots > 0, 1 / roots, 0.0)
    return float(roots.sum()), (rows @ (real.root @ vectors)).square() @ inverse


def _spectrum(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors; values within rounding of zero are zero."""
    try:
        values, vectors = torch.linalg.eigh(symmetric)
    except RuntimeError as error:  # LAPACK's, where it does not converge
        raise ScoreError(f"the Frechet distance cannot be computed: {error}") from None
    least = values[-1].clamp(min=0) * len(values) * _ROUNDING
    return torch.where(values > least, values, 0.0), vectors
