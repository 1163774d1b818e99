"""The Frechet distance between two sets of features, and its standard error."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gantune.errors import ScoreError
from gantune.scores.feature_statistics import Features, some

_MOST_INFLUENCES = 2000  # enough for their spread to within 2%
_STRIPES = 8
_Solved = TypeVar("_Solved")
_ROUNDING = torch.finfo(torch.float64).eps


class Distance(NamedTuple):
    """A distance and the standard error that comes of drawing one side at random."""

    value: float
    error: float


@dataclass(frozen=True)
class Gaussian:
    """The real side of a Frechet distance: its costly part, computed once.

    ``factor`` is upper triangular, and its transpose times itself is the covariance. It has a row
    for each of the directions in which features vary, one where they do not.
    """

    mean: Tensor  # [D] float64
    factor: Tensor  # [R, D] float64, R the covariance's rank to within rounding

    @classmethod
    def of(cls, features: Features) -> Gaussian:
        """That of all the features; of a covariance without an inverse as well."""
        values, vectors = _attempt(torch.linalg.eigh, features.covariance)
        rank = max(int((values > _rounding(values)).sum()), 1)
        root = values[-rank:].clamp(min=0).sqrt()[:, None] * vectors[:, -rank:].T
        return cls(features.mean, torch.linalg.qr(root, mode="r").R)

    @property
    def variance(self) -> float:
        """Trace of the covariance."""
        return float(self.factor.square().sum())

    def to(self, device: torch.device) -> Gaussian:
        """The same on another device."""
        return Gaussian(self.mean.to(device), self.factor.to(device))


def frechet_distance(real: Gaussian, made: Features) -> float:
    """The distance of Heusel et al. 2017, eq. 6, in float64, never negative.

    With the real covariance F'F, the trace of (C_real C_made)^(1/2) is that of M^(1/2) for the
    symmetric M = F C_made F', of which nothing but the eigenvalues is needed. Of fewer samples than
    F has rows, with Y = X F' for X centred, Y Y' has the same eigenvalues and is smaller.

    Rounding is cut off in C_real alone, before: eigenvalues of M span twice the orders of magnitude
    of the covariances', so that small ones are true, and their roots add up.

    Raises ``ScoreError`` where the result is not finite.
    """
    matrix = (
        _between_samples(real, made) if _has_few(real, made) else _between_dimensions(real, made)
    )
    return _distance(real, made, _attempt(torch.linalg.eigvalsh, matrix))


def frechet_with_error(real: Gaussian, made: Features) -> Distance:
    """The same with its standard error, which needs the eigenvectors too.

    It is that of the samples' drawing, the real side being given: the spread of the samples'
    influences on the distance (infinitesimal jackknife, Jaeckel 1972). It knows nothing of the
    distance's bias, which falls with the count of samples.
    """
    if _has_few(real, made):
        values, vectors = _attempt(torch.linalg.eigh, _between_samples(real, made))
        rows = made.rows.double() - made.mean
        pulls = (made.count - 1) * (vectors.square() @ values.clamp(min=0).sqrt())
    else:
        values, vectors = _attempt(torch.linalg.eigh, _between_dimensions(real, made))
        rows = some(made.rows, min(len(made.rows), _MOST_INFLUENCES)).double() - made.mean
        inverse = torch.where(values > _rounding(values), values.rsqrt(), 0.0)
        pulls = (rows @ (real.factor.T @ vectors)).square() @ inverse
    influences = 2 * rows @ (made.mean - real.mean) + rows.square().sum(dim=1) - pulls
    error = float(influences.std()) / math.sqrt(made.count)
    return Distance(_distance(real, made, values), error)


def _has_few(real: Gaussian, made: Features) -> bool:
    return made.is_whole and made.count <= len(real.factor)


def _between_samples(real: Gaussian, made: Features) -> Tensor:
    """Y Y' over n - 1, [n, n]."""
    moved = (made.rows.double() - made.mean) @ real.factor.T
    return moved @ moved.T / (made.count - 1)


def _between_dimensions(real: Gaussian, made: Features) -> Tensor:
    """The lower triangle of F C F', [R, R].

    By stripes, because half of F and half of the result are not needed: 0.8 times the work of one
    product of whole matrices, in place of two.
    """
    factor, covariance = real.factor, made.covariance
    step = -(-len(factor) // _STRIPES)
    starts = range(0, len(factor), step)
    half = torch.cat([factor[i : i + step, i:] @ covariance[i:] for i in starts])
    found = factor.new_zeros(len(factor), len(factor))
    for i in starts:
        found[i : i + step, : i + step] = factor[i : i + step, i:] @ half[: i + step, i:].T
    return found


def _distance(real: Gaussian, made: Features, values: Tensor) -> float:
    """From the eigenvalues of M."""
    apart = made.mean - real.mean
    trace = float(values.clamp(min=0).sqrt().sum())
    found = float(apart.square().sum()) + real.variance + made.variance - 2 * trace
    if not math.isfinite(found):
        raise ScoreError("the Frechet distance is not finite; no score can be taken")
    return max(found, 0.0)


def _rounding(values: Tensor) -> Tensor:
    """Up to where an eigenvalue, of these in ascending order, may be zero but for rounding."""
    return values[-1].clamp(min=0) * len(values) * _ROUNDING


def _attempt(solver: Callable[[Tensor, str], _Solved], symmetric: Tensor) -> _Solved:
    """Solves by the lower triangle."""
    try:
        return solver(symmetric, "L")
    except RuntimeError as error:  # LAPACK's, where it does not converge
        raise ScoreError(f"the Frechet distance cannot be computed: {error}") from None
