"""Normalisations of both players' layers, and what hands them labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding

from gantune.config import DiscriminatorNorm

__all__ = ["Chain", "ConditionalBatchNorm", "Labelled", "discriminator_norms", "has_affine"]


class Labelled(nn.Module):
    """A layer that takes features and the labels beside them, or ``None``."""


class Chain(nn.Sequential):
    """Layers one after the other; those that are ``Labelled`` are given the labels."""

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        for layer in self:
            features = layer(features, labels) if isinstance(layer, Labelled) else layer(features)
        return features


class ConditionalBatchNorm(Labelled):
    """Batch norm with a gain and a bias for each class (Dumoulin et al. 2017, eq. 5).

    ``norm`` has none of its own. They start at 1 and 0. Features [N, C] or [N, C, H, W], labels
    int64 [N].
    """

    def __init__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d, classes: int) -> None:
        super().__init__()
        self.norm = norm
        self.gain = nn.Parameter(torch.ones(classes, norm.num_features))
        self.bias = nn.Parameter(torch.zeros(classes, norm.num_features))

    def forward(self, features: Tensor, labels: Tensor) -> Tensor:
        normal = self.norm(features)
        shape = [*features.shape[:2], *[1] * (features.ndim - 2)]
        # In the features' own format: fp32 would double what the next layer has to read.
        gain, bias = (
            embedding(labels, table).to(normal.dtype).view(shape)
            for table in (self.gain, self.bias)
        )
        return torch.addcmul(bias, normal, gain)


def has_affine(norm: DiscriminatorNorm) -> bool:
    """Whether the normalisation brings its own bias, so that the layer before it needs none."""
    return norm in ("batch", "layer", "instance")


def discriminator_norms(
    norm: DiscriminatorNorm, channels: int, *, points: bool = False
) -> list[nn.Module]:
    """What stands between a layer and its activation in D; [] for ``none`` and ``spectral``.

    ``layer`` of images is over all of [C, H, W], with a gain and a bias for each channel (Ba et
    al. 2016; Gulrajani et al. 2017, appendix C); ``instance`` is over [H, W] (Ulyanov et al.
    2016), which all architectures have only where these are 4x4 or more.
    """
    match norm:
        case "batch":
            return [nn.BatchNorm1d(channels) if points else nn.BatchNorm2d(channels)]
        case "layer":
            return [nn.LayerNorm(channels) if points else nn.GroupNorm(1, channels)]
        case "instance":
            return [nn.InstanceNorm2d(channels, affine=True)]
        case _:
            return []
