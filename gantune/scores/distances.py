"""The Frechet and the kernel distance (KID) between two sets of features, with standard errors."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from gantune.data.image_set import SUBSET_SEED
from gantune.errors import ScoreError
from gantune.scores.feature_statistics import Features, subsample, tiles

_MOST_INFLUENCES = 2000  # samples; enough for the spread of influences to within 2%
_STRIPES = 8
_MOST_PARTS = 3  # into which samples are split for an extrapolation
_ROUNDING = torch.finfo(torch.float64).eps
_Solved = TypeVar("_Solved")


class Distance(NamedTuple):
    """A distance and its standard error from the random drawing of samples."""

    value: float
    error: float


@dataclass(frozen=True)
class Gaussian:
    """The real side of a Frechet distance: the costly part, which is computed once.

    ``factor`` is upper triangular, and its transpose times itself is the covariance. It has one row
    for each direction in which features vary, and one row where they do not vary.
    """

    mean: Tensor  # [D] float64
    factor: Tensor  # [R, D] float64; R: numerical rank of the covariance

    @classmethod
    def of(cls, features: Features) -> Gaussian:
        """Fits the Gaussian to all features; the covariance may be singular."""
        values, vectors = _attempt(torch.linalg.eigh, features.covariance)
        rank = max(int((values > _rounding(values)).sum()), 1)
        root = values[-rank:].clamp(min=0).sqrt()[:, None] * vectors[:, -rank:].T
        return cls(features.mean, torch.linalg.qr(root, mode="r").R)

    @property
    def variance(self) -> float:
        """Trace of the covariance."""
        return float(self.factor.square().sum())

    def to(self, device: torch.device) -> Gaussian:
        """A copy on another device."""
        return Gaussian(self.mean.to(device), self.factor.to(device))


def frechet_distance(real: Gaussian, made: Features) -> float:
    """The Frechet distance of Heusel et al. 2017, eq. 6, in float64, never negative.

    With the real covariance F'F, the trace of (C_real C_made)^(1/2) is that of M^(1/2) for the
    symmetric M = F C_made F', so only the eigenvalues of M are needed. With fewer samples than F
    has rows, and X the centred features, Y Y' for Y = X F' has the same eigenvalues and is smaller.

    Rounding errors are cut off only in C_real. The eigenvalues of M span twice as many orders of
    magnitude as those of a covariance, so small ones are exact, and their roots add up.

    Raises ``ScoreError`` where the result is not finite.
    """
    return _distance(real, made, _attempt(torch.linalg.eigvalsh, _matrix(real, made)))


def frechet_with_error(real: Gaussian, made: Features) -> Distance:
    """The Frechet distance with its standard error, which also needs the eigenvectors.

    The error is that of drawing the samples, with a fixed real side: the spread of the samples'
    influences on the distance (infinitesimal jackknife, Jaeckel 1972). It does not include the
    bias of the distance, which falls with the number of samples.
    """
    values, vectors = _attempt(torch.linalg.eigh, _matrix(real, made))
    if _has_few_samples(real, made):
        rows = made.rows.double() - made.mean
        pulls = (made.count - 1) * (vectors.square() @ values.clamp(min=0).sqrt())
    else:
        rows = subsample(made.rows, min(len(made.rows), _MOST_INFLUENCES)).double() - made.mean
        inverse = torch.where(values > _rounding(values), values.rsqrt(), 0.0)
        pulls = (rows @ (real.factor.T @ vectors)).square() @ inverse
    influences = 2 * rows @ (made.mean - real.mean) + rows.square().sum(dim=1) - pulls
    error = float(influences.std()) / math.sqrt(made.count)
    return Distance(_distance(real, made, values), error)


def frechet_extrapolated(real: Gaussian, made: Features, distance: Distance) -> Distance:
    """The Frechet distance extrapolated to infinitely many samples; it may be negative.

    ``distance``: that of ``frechet_with_error``, which is costly.

    The distance's bias falls as 1/N with the number N of samples (Chong and Forsyth 2020). Its size
    is taken from the kept rows as a whole and as two random halves, which hold the same samples: so
    the extrapolation adds next to no error to that of the distance. The error also includes how far
    a fit with thirds, and a term in 1/N^2, would lie away. The bias from the number of real images
    stays. Raises ``ScoreError`` for fewer than 6 samples.
    """
    if len(made.rows) < 2 * _MOST_PARTS:
        raise ScoreError(f"an extrapolation needs at least {2 * _MOST_PARTS} samples")
    shuffled = made.rows[_shuffle(len(made.rows)).to(made.rows.device)]

    def mean(parts: int) -> float:
        split = torch.tensor_split(shuffled, parts)
        return statistics.fmean(frechet_distance(real, Features(p, len(p))) for p in split)

    whole = distance.value if made.streamed is None else mean(1)
    halves, thirds = mean(2), mean(_MOST_PARTS)
    share = len(shuffled) / made.count
    linear = halves - whole
    square = (thirds - whole - 2 * linear) / 2  # of the terms in 1/N and 1/N^2, through all three
    bias, other = share * linear, share * (linear - 3 * square) + share**2 * square
    return Distance(distance.value - bias, math.hypot(distance.error, bias - other))


def _shuffle(count: int) -> Tensor:
    return torch.randperm(count, generator=torch.Generator().manual_seed(SUBSET_SEED))


def _has_few_samples(real: Gaussian, made: Features) -> bool:
    return made.streamed is None and made.count <= len(real.factor)


def _matrix(real: Gaussian, made: Features) -> Tensor:
    """With few samples Y Y' over n - 1, [n, n], else the lower triangle of F C F', [R, R].

    The latter in stripes, because half of F is zero and half of the result is not needed: this
    costs 0.8 times one full matrix product instead of two.
    """
    if _has_few_samples(real, made):
        moved = (made.rows.double() - made.mean) @ real.factor.T
        return moved @ moved.T / (made.count - 1)
    factor, covariance = real.factor, made.covariance
    step = -(-len(factor) // _STRIPES)
    starts = range(0, len(factor), step)
    half = torch.cat([factor[i : i + step, i:] @ covariance[i:] for i in starts])
    found = factor.new_zeros(len(factor), len(factor))
    for i in starts:
        found[i : i + step, : i + step] = factor[i : i + step, i:] @ half[: i + step, i:].T
    return found


def _distance(real: Gaussian, made: Features, values: Tensor) -> float:
    """The distance from the eigenvalues of M."""
    apart = made.mean - real.mean
    trace = float(values.clamp(min=0).sqrt().sum())
    found = float(apart.square().sum()) + real.variance + made.variance - 2 * trace
    if not math.isfinite(found):
        raise ScoreError("the Frechet distance is not finite, so there is no score")
    return max(found, 0.0)


def _rounding(values: Tensor) -> Tensor:
    """The largest eigenvalue, of these in ascending order, that may be zero up to rounding."""
    return values[-1].clamp(min=0) * len(values) * _ROUNDING


def _attempt(solver: Callable[[Tensor, str], _Solved], symmetric: Tensor) -> _Solved:
    """Solves with the lower triangle of a symmetric matrix."""
    try:
        return solver(symmetric, "L")
    except RuntimeError as error:  # from LAPACK, where it does not converge
        raise ScoreError(f"the Frechet distance cannot be computed: {error}") from None


@dataclass(frozen=True)
class KernelSide:
    """The features of one side, and for each row the sum of its kernel values with the others."""

    rows: Tensor  # [N, D] float32
    sums: Tensor  # [N] float64

    @classmethod
    def of(cls, rows: Tensor) -> KernelSide:
        """Computes the sums for features of two rows or more."""
        norms = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square_()
        own = _kernel(norms, rows.shape[1])
        return cls(rows, _sums(rows, rows)[0] - own)


def kernel_distance(real: KernelSide, made: KernelSide) -> Distance:
    """The unbiased estimate of Binkowski et al. 2018, eq. 4: kernel (x'y / D + 1)^3, all rows.

    It estimates the squared maximum mean discrepancy without bias, so it may be negative. The
    standard error is that of the jackknife over both sides (Efron and Stein 1981). A side of two
    rows adds nothing to it, because leaving one out leaves no pair.
    """
    n, m = len(real.rows), len(made.rows)
    to_made, to_real = _sums(real.rows, made.rows)  # [n], [m]
    within_real, within_made, across = real.sums.sum(), made.sums.sum(), to_made.sum()

    def estimate(a: Tensor, n: int, b: Tensor, m: int, across: Tensor) -> Tensor:
        return a / (n * (n - 1)) + b / (m * (m - 1)) - 2 * across / (n * m)

    value = estimate(within_real, n, within_made, m, across)
    variance = torch.zeros_like(value)
    if n > 2:
        without = estimate(within_real - 2 * real.sums, n - 1, within_made, m, across - to_made)
        variance += (n - 1) * without.var(correction=0)
    if m > 2:
        without = estimate(within_real, n, within_made - 2 * made.sums, m - 1, across - to_real)
        variance += (m - 1) * without.var(correction=0)
    return Distance(float(value), math.sqrt(float(variance)))


def _sums(rows: Tensor, others: Tensor) -> tuple[Tensor, Tensor]:
    """Sums of the kernel values between both sides, one per row of either side, float64."""
    of_rows, of_others = (
        torch.zeros(len(side), dtype=torch.float64, device=rows.device) for side in (rows, others)
    )
    for at, to, near, far in tiles(rows, others):
        values = _kernel(near @ far.T, rows.shape[1])
        of_rows[at] += values.sum(dim=1)
        of_others[to] += values.sum(dim=0)
    return of_rows, of_others


def _kernel(products: Tensor, size: int) -> Tensor:
    return (products / size + 1) ** 3
