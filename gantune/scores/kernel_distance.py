"""The kernel distance (KID): unbiased, so that few samples do not flatter or punish."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from gantune.scores.frechet import Distance

_TILE = 1000  # rows of either side at a time


@dataclass(frozen=True)
class KernelSide:
    """One side's features, and each row's sum of kernel values to the others of its side."""

    rows: Tensor  # [N, D] float32
    sums: Tensor  # [N] float64

    @classmethod
    def of(cls, rows: Tensor) -> KernelSide:
        """That of these features, two rows or more."""
        norms = torch.linalg.vector_norm(rows, dim=1, dtype=torch.float64).square_()
        own = _kernel(norms, rows.shape[1])
        return cls(rows, _sums(rows, rows)[0] - own)


def kernel_distance(real: KernelSide, made: KernelSide) -> Distance:
    """The unbiased estimate of Binkowski et al. 2018, eq. 4: kernel (x'y / D + 1)^3, all rows.

    It is the squared maximum mean discrepancy and may come out negative. Its standard error is
    the jackknife's over both sides (Efron and Stein 1981); a side of two rows, which cannot spare
    one, adds nothing to it.
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
    """Sums of the kernel values between both, of each row and of each other, float64."""
    of_rows, of_others = (
        torch.zeros(len(side), dtype=torch.float64, device=rows.device) for side in (rows, others)
    )
    for start in range(0, len(rows), _TILE):
        at = slice(start, start + _TILE)
        near = rows[at].double()
        for begin in range(0, len(others), _TILE):
            to = slice(begin, begin + _TILE)
            values = _kernel(near @ others[to].double().T, rows.shape[1])
            of_rows[at] += values.sum(dim=1)
            of_others[to] += values.sum(dim=0)
    return of_rows, of_others


def _kernel(products: Tensor, size: int) -> Tensor:
    return (products / size + 1) ** 3
