"""Samples beside real images that were never trained on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from gantune.scores.frechet import Gaussian, frechet_distance
from gantune.scores.gathering import Features
from gantune.scores.manifold import nearest
from gantune.scores.real import RealFeatures
from gantune.scores.score import HeldOut

__all__ = ["HeldOutSide"]


@dataclass(frozen=True)
class HeldOutSide:
    """As many held-out images as training images, and how far they are from each other."""

    held_out: Tensor  # [m, D] float32
    training: Tensor  # [m, D] float32
    held_out_gaussian: Gaussian
    training_gaussian: Gaussian
    between: float

    @classmethod
    def of(
        cls, learned: RealFeatures, held_out: RealFeatures, most: int, device: torch.device
    ) -> HeldOutSide:
        """Of both, at most ``most`` images of each, at even distances."""
        count = min(learned.count, held_out.count, most)
        unseen, seen = (side.some(count).to(device) for side in (held_out, learned))
        training = Gaussian.of(Features(seen, count))
        features = Features(unseen, count)
        return cls(
            held_out=unseen,
            training=seen,
            held_out_gaussian=Gaussian.of(features),
            training_gaussian=training,
            between=frechet_distance(training, features),
        )

    def compare(self, made: Features) -> HeldOut:
        """How far the samples are from either side."""
        to_training = nearest(made.rows, self.training).distance
        to_held_out = nearest(made.rows, self.held_out).distance
        nearer = (to_training < to_held_out).double() + (to_training == to_held_out).double() / 2
        return HeldOut(
            count=len(self.held_out),
            value=frechet_distance(self.held_out_gaussian, made),
            training=frechet_distance(self.training_gaussian, made),
            between=self.between,
            nearer_training=float(nearer.mean()),
        )
