"""Precision, recall, density and coverage: what one number hides, from nearest neighbours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

__all__ = ["Manifold", "Nearest", "Overlap", "nearest", "overlap"]

_BLOCK = 512  # rows a product of matrices
_PIECE = 10_000  # rows in float64 at a time
_ROUNDING = 1e-12  # of the squared norms: below it a squared distance is zero


class Overlap(NamedTuple):
    """How two sets of features lie to each other; see ``Score``."""

    precision: float
    recall: float
    density: float
    coverage: float


class Nearest(NamedTuple):
    """The nearest of some rows: their places and distances, nearest first."""

    places: Tensor  # [N, most] int64
    distance: Tensor  # [N, most] float64


@dataclass(frozen=True)
class Manifold:
    """One side's features, each with the ball that reaches to its k-th nearest neighbour."""

    rows: Tensor  # [N, D] float32
    radii: Tensor  # [N] float64, squared
    neighbours: int

    @classmethod
    def of(cls, rows: Tensor, neighbours: int) -> Manifold:
        """That of these features; more rows than ``neighbours`` are needed."""
        # The row itself, at distance 0, is among its own nearest.
        radii = [
            part.topk(neighbours + 1, largest=False).values[:, -1] for part in _squared(rows, rows)
        ]
        return cls(rows, torch.cat(radii), neighbours)


def overlap(real: Manifold, made: Manifold) -> Overlap:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A row on the edge of a ball is in it.
    """
    in_real, reached, start = [], torch.zeros_like(real.radii, dtype=torch.bool), 0
    covered = torch.zeros_like(reached)
    for part in _squared(made.rows, real.rows):
        inside = part <= real.radii  # [n, N]: this sample in that real image's ball
        in_real.append(inside.sum(dim=1))
        covered |= inside.any(dim=0)
        reached |= (part <= made.radii[start : start + len(part), None]).any(dim=0)
        start += len(part)
    balls = torch.cat(in_real).double()
    return Overlap(
        precision=float((balls > 0).double().mean()),
        recall=float(reached.double().mean()),
        density=float(balls.mean()) / real.neighbours,
        coverage=float(covered.double().mean()),
    )


def nearest(rows: Tensor, among: Tensor, most: int = 1) -> Nearest:
    """For each row the ``most`` nearest of ``among``, [M, D]; ``most`` up to M."""
    index = torch.empty(len(rows), 0, dtype=torch.int64, device=rows.device)
    distance = torch.empty(len(rows), 0, dtype=torch.float64, device=rows.device)
    for start, part in zip(range(0, len(among), _PIECE), torch.split(among, _PIECE), strict=True):
        squared = torch.cat(list(_squared(rows, part.to(rows.device))))
        here = torch.arange(start, start + len(part), device=rows.device).expand_as(squared)
        distance, order = torch.cat([distance, squared], 1).topk(
            min(most, start + len(part)), largest=False
        )
        index = torch.cat([index, here], 1).gather(1, order)
    return Nearest(index, distance.sqrt())


def _squared(rows: Tensor, others: Tensor) -> Iterator[Tensor]:
    """Squared distances from the rows to all others, float64 [n, M], block by block."""
    against = others.double()
    norms = against.square().sum(dim=1)
    for part in torch.split(rows, _BLOCK):
        near = part.double()
        scale = near.square().sum(dim=1, keepdim=True) + norms
        squared = scale - 2 * near @ against.T
        yield torch.where(squared > _ROUNDING * scale, squared, 0.0)
