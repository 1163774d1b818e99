"""Precision, recall, density and coverage from nearest neighbours."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gantune.scores.feature_statistics import tiles

_ROUNDING = 1e-12  # of the squared norms: below it a squared distance is zero


class Overlap(NamedTuple):
    """How two sets of features overlap; the fields are explained in ``Score``."""

    precision: float
    recall: float
    density: float
    coverage: float


class Nearest(NamedTuple):
    """Indices and distances of nearest neighbours, nearest first."""

    places: Tensor  # [N, most] int64
    distance: Tensor  # [N, most] float64


@dataclass(frozen=True)
class NeighbourBalls:
    """The features of one side, each with two balls that reach its nearest neighbours there."""

    rows: Tensor  # [N, D] float32
    recall_radii: Tensor  # [N] float64
    coverage_radii: Tensor  # [N] float64
    coverage_neighbours: int

    @classmethod
    def of(cls, rows: Tensor, recall_neighbours: int, coverage_neighbours: int) -> NeighbourBalls:
        """Computes the radii; needs more rows than neighbours.

        ``recall_neighbours``: the neighbour that the balls of precision and recall reach;
        ``coverage_neighbours``: the same for density and coverage.
        """
        # The nearest neighbour of a row is the row itself, at distance 0.
        most = max(recall_neighbours, coverage_neighbours)
        away = nearest(rows, rows, most + 1).distance
        return cls(
            rows, away[:, recall_neighbours], away[:, coverage_neighbours], coverage_neighbours
        )


def overlap(real: NeighbourBalls, made: NeighbourBalls) -> Overlap:
    """Precision and recall (Kynkaanniemi et al. 2019), density and coverage (Naeem et al. 2020).

    A row on the edge of a ball is inside.
    """
    precise = torch.zeros_like(made.recall_radii, dtype=torch.bool)
    recalled = torch.zeros_like(real.recall_radii, dtype=torch.bool)
    balls = torch.zeros_like(made.coverage_radii)  # number of real balls that contain each sample
    covered = torch.zeros_like(recalled)
    for at, to, distances in _distances(made.rows, real.rows):
        precise[at] |= (distances <= real.recall_radii[to]).any(dim=1)
        recalled[to] |= (distances <= made.recall_radii[at, None]).any(dim=0)
        inside = distances <= real.coverage_radii[to]
        balls[at] += inside.sum(dim=1)
        covered[to] |= inside.any(dim=0)
    return Overlap(
        precision=float(precise.double().mean()),
        recall=float(recalled.double().mean()),
        density=float(balls.mean()) / real.coverage_neighbours,
        coverage=float(covered.double().mean()),
    )


def nearest(rows: Tensor, among: Tensor, most: int = 1) -> Nearest:
    """For each row, the ``most`` nearest rows of ``among`` [M, D]; ``most`` is up to M."""
    distance = torch.full((len(rows), most), math.inf, dtype=torch.float64, device=rows.device)
    places = torch.zeros_like(distance, dtype=torch.int64)
    for at, to, squared, squares in _squared_distances(rows, among):
        if most == 1:  # several times faster
            here = squared.min(dim=1, keepdim=True).indices
        else:
            here = squared.topk(min(most, squared.shape[1]), largest=False).indices
        near = _without_rounding(squared.gather(1, here), squares.gather(1, here))
        distance[at], order = torch.cat([distance[at], near], dim=1).topk(most, largest=False)
        places[at] = torch.cat([places[at], here + to.start], dim=1).gather(1, order)
    return Nearest(places, distance.sqrt())


def _distances(rows: Tensor, others: Tensor) -> Iterator[tuple[slice, slice, Tensor]]:
    """All distances, tile by tile."""
    for at, to, squared, squares in _squared_distances(rows, others):
        yield at, to, _without_rounding(squared, squares).sqrt()


def _squared_distances(
    rows: Tensor, others: Tensor
) -> Iterator[tuple[slice, slice, Tensor, Tensor]]:
    """All squared distances from products of rows, tile by tile, and for each pair the sum of both
    squared norms; the error is a rounding of that sum."""
    for at, to, near, far in tiles(rows, others):
        squares = near.square().sum(dim=1, keepdim=True) + far.square().sum(dim=1)
        yield at, to, torch.addmm(squares, near, far.T, alpha=-2), squares


def _without_rounding(squared: Tensor, squares: Tensor) -> Tensor:
    """The squared distances; those at the level of rounding are 0."""
    return torch.where(squared > _ROUNDING * squares, squared, 0.0)
