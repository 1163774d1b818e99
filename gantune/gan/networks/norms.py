"""Normalisations of both players' layers, and what hands them labels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize
from torch.nn.utils.parametrize import ParametrizationList, register_parametrization

from gantune.config import DiscriminatorNorm


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


# Spectral normalisation of a network's weights (Miyato et al. 2018, algorithm 1).


_FIRST_ITERATIONS = 15  # so that the very first steps see a norm close to 1


class SpectralNorm(nn.Module):
    """A weight, read as a matrix, divided by an estimate of its largest singular value.

    ``outputs``: the weight's dimension of output channels, the matrix's rows; 1 for transposed
    convolutions. One power iteration a forward pass in training mode. Always in fp32: in bfloat16
    the estimate would be off by up to 1%, and differently at each step.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, outputs: int = 0) -> None:
        super().__init__()
        self.outputs = outputs
        matrix = self._matrix(weight.detach())
        u, v = (normalize(torch.randn(side), dim=0) for side in matrix.shape)
        for _ in range(_FIRST_ITERATIONS):
            u, v = _iterated(matrix, u)
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            # The graph holds tensors of its own: those of the buffers change with the next pass.
            if self.training:
                u, v = _iterated(matrix.detach(), self.u)
                # In place: whoever averages or saves the buffers holds on to them.
                self.u.copy_(u)
                self.v.copy_(v)
            else:
                # An average of unit vectors, as the averaged generator has it, is shorter than 1.
                u, v = normalize(self.u, dim=0), normalize(self.v, dim=0)
            return weight / torch.dot(u, torch.mv(matrix, v))

    @torch.no_grad()
    def singular_value(self, weight: Tensor) -> Tensor:
        """The estimate that ``weight``, not yet divided, is divided by: a scalar."""
        return torch.dot(self.u, torch.mv(self._matrix(weight), self.v))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, self.outputs).flatten(1)


def _iterated(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    v = normalize(torch.mv(matrix.T, u), dim=0)
    return normalize(torch.mv(matrix, v), dim=0), v


def add_spectral_norm(network: nn.Module) -> None:
    """Gives every convolution, dense layer and embedding of ``network`` a ``SpectralNorm``.

    A grouped convolution is bounded by the norm over all its groups, which is above the largest of
    theirs. In a generator batch norm stays beside it, as in SAGAN (Zhang et al. 2019, section 3)
    and BigGAN (Brock et al. 2019).

    To be called once the weights have their initial values, which a layer takes no more after it.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            register_parametrization(module, "weight", SpectralNorm(module.weight))
        elif isinstance(module, nn.ConvTranspose2d):
            register_parametrization(module, "weight", SpectralNorm(module.weight, outputs=1))


def largest_singular_value(network: nn.Module) -> Tensor | None:
    """The largest estimate over the layers with a ``SpectralNorm``, a scalar; ``None`` without."""
    values = [
        part[0].singular_value(part.original)
        for part in network.modules()
        if isinstance(part, ParametrizationList) and isinstance(part[0], SpectralNorm)
    ]
    return torch.stack(values).amax() if values else None
