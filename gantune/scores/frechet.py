"""The Frechet distance between two sets of features, and its standard error."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gantune.errors import ScoreError
from gantune.scores.gathering import Features

__all__ = ["Distance", "Gaussian", "frechet_distance"]

_BLOCK = 1000  # rows in float64 at a time
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
        trace, pulls = _by_samples(real, made)
        variance = float(made.rows.double().var(dim=0).sum())
    else:
        trace, pulls = _by_dimensions(real, made)
        variance = float(made.covariance.trace())
    value = float(apart.square().sum()) + real.variance + variance - 2 * trace
    pushes = [2 * part @ apart + part.square().sum(dim=1) for part in _centred(made)]
    error = float((torch.cat(pushes) - pulls).std()) / math.sqrt(made.count)
    if not math.isfinite(value) or not math.isfinite(error):
        raise ScoreError("the Frechet distance is not finite; no score can be taken")
    return Distance(max(value, 0.0), error)


def _by_samples(real: Gaussian, made: Features) -> tuple[float, Tensor]:
    """Trace of M^(1/2), and what each kept row adds to it: [K, K] is solved."""
    moved = torch.cat([part @ real.root for part in _centred(made)])
    values, vectors = _spectrum(moved @ moved.T / (made.count - 1))
    roots = values.sqrt()
    return float(roots.sum()), (made.count - 1) * (vectors.square() @ roots)


def _by_dimensions(real: Gaussian, made: Features) -> tuple[float, Tensor]:
    """The same, [D, D] being solved."""
    values, vectors = _spectrum(real.root @ made.covariance @ real.root)
    roots = values.sqrt()
    inverse = torch.where(roots > 0, 1 / roots, 0.0)
    axes = real.root @ vectors
    pulls = [(part @ axes).square() @ inverse for part in _centred(made)]
    return float(roots.sum()), torch.cat(pulls)


def _centred(made: Features) -> Iterator[Tensor]:
    """The kept rows less the mean, float64 [n, D], block by block."""
    for part in torch.split(made.rows, _BLOCK):
        yield part.double() - made.mean


def _spectrum(symmetric: Tensor) -> tuple[Tensor, Tensor]:
    """Eigenvalues and eigenvectors; values within rounding of zero are zero."""
    try:
        values, vectors = torch.linalg.eigh(symmetric)
    except RuntimeError as error:  # LAPACK's, where it does not converge
        raise ScoreError(f"the Frechet distance cannot be computed: {error}") from None
    least = values[-1].clamp(min=0) * len(values) * _ROUNDING
    return torch.where(values > least, values, 0.0), vectors
