"""Features of points in the plane that show which modes are missing."""

from __future__ import annotations

import torch
from torch import Tensor

from gantune.scores.features import FeatureNetwork

__all__ = ["PointFeatures"]

_SEED = 20_070_103
_FREQUENCIES = 64
_LONGEST, _SHORTEST = 1.0, 0.1  # in the plane's unit; the data lie in about [-1, 1]


class PointFeatures(FeatureNetwork):
    """Random Fourier features (Rahimi and Recht 2007) beside the two coordinates.

    The coordinates alone would see a mean and a covariance, which a ring and a blob can share;
    waves with length scales from 1 down to 0.1, fine enough for modes that lie 0.4 from each other,
    tell them apart.
    ``modes``: how many centres there are, 0 where the points have no labels; each point belongs to
    the nearest centre.
    """

    kind = "points-fourier"

    def __init__(self, modes: int) -> None:
        super().__init__({"modes": modes}, 2 + 2 * _FREQUENCIES, "none")
        generator = torch.Generator().manual_seed(_SEED)
        steps = torch.arange(_FREQUENCIES) / (_FREQUENCIES - 1)
        scales = _LONGEST * (_SHORTEST / _LONGEST) ** steps
        waves = torch.randn(2, _FREQUENCIES, generator=generator) / scales
        self.waves: Tensor
        self.centres: Tensor
        self.register_buffer("waves", waves)
        self.register_buffer("centres", torch.zeros(modes, 2))

    def forward(self, images: Tensor) -> Tensor:
        phases = images @ self.waves
        return torch.cat([images, phases.cos(), phases.sin()], dim=1)

    def classify(self, features: Tensor) -> Tensor | None:
        if not len(self.centres):
            return None
        return torch.cdist(features[:, :2], self.centres).argmin(dim=1)
