"""Normalisations of both players, and containers that pass labels to them."""

import torch
from torch import Tensor, nn
from torch.nn.functional import embedding, normalize
from torch.nn.utils.parametrize import ParametrizationList, register_parametrization

from gantune.config.sections import DiscriminatorNorm


class Labelled(nn.Module):
    """A layer whose ``forward`` takes features and labels, which may be ``None``."""


class Chain(nn.Sequential):
    """``nn.Sequential`` that passes the labels to ``Labelled`` layers."""

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        for layer in self:
            features = layer(features, labels) if isinstance(layer, Labelled) else layer(features)
        return features


class ConditionalBatchNorm(Labelled):
    """Batch norm with a gain and a bias for each class (Dumoulin et al. 2017, eq. 5).

    ``norm`` must have none. They start at 1 and 0. Features [N, C] or [N, C, H, W], labels
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
        # In the dtype of the features: fp32 would double the memory traffic of the next layer.
        gain, bias = (
            embedding(labels, table).to(normal.dtype).view(shape)
            for table in (self.gain, self.bias)
        )
        return torch.addcmul(bias, normal, gain)


def discriminator_norms(
    norm: DiscriminatorNorm, channels: int, *, points: bool = False
) -> list[nn.Module]:
    """The layers between a layer and its activation in D; none for ``none`` and ``spectral``.

    They have a bias, so the layer before them needs none.
    ``layer`` of images normalises over [C, H, W], with a gain and a bias for each channel (Ba et
    al. 2016; Gulrajani et al. 2017, appendix C); ``instance`` over [H, W] (Ulyanov et al. 2016),
    which the architectures use only where these are 4x4 or more.
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


# ---- Spectral norm ------------------------------------------------------------------------------


_FIRST_ITERATIONS = 15  # so that the norm is close to 1 from the first step


class SpectralNorm(nn.Module):
    """Divides a weight, as a matrix, by an estimate of its largest singular value.

    Miyato et al. 2018, algorithm 1.

    ``outputs``: the dimension of output channels, which are the matrix's rows; 1 for transposed
    convolutions. One power iteration per forward pass in training mode. Always in fp32: in bfloat16
    the estimate is off by up to 1%, and differently at each step.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor, outputs: int = 0) -> None:
        super().__init__()
        self.outputs = outputs
        matrix = self._matrix(weight.detach())
        u, v = (normalize(torch.randn(side), dim=0) for side in matrix.shape)
        for _ in range(_FIRST_ITERATIONS):
            u, v = _power_iteration(matrix, u)
        self.register_buffer("u", u)
        self.register_buffer("v", v)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = self._matrix(weight)
            # The graph needs tensors of its own: the buffers change with the next pass.
            if self.training:
                u, v = _power_iteration(matrix.detach(), self.u)
                # In place: the EMA keeps references to the buffers.
                self.u.copy_(u)
                self.v.copy_(v)
            else:
                # The EMA averages unit vectors, whose norm is then below 1.
                u, v = normalize(self.u, dim=0), normalize(self.v, dim=0)
            return weight / torch.dot(u, torch.mv(matrix, v))

    @torch.no_grad()
    def singular_value(self, weight: Tensor) -> Tensor:
        """The estimate for the raw ``weight``, a scalar."""
        return torch.dot(self.u, torch.mv(self._matrix(weight), self.v))

    def _matrix(self, weight: Tensor) -> Tensor:
        return weight.transpose(0, self.outputs).flatten(1)


def _power_iteration(matrix: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    v = normalize(torch.mv(matrix.T, u), dim=0)
    return normalize(torch.mv(matrix, v), dim=0), v


def add_spectral_norm(network: nn.Module) -> None:
    """Gives every convolution, dense layer and embedding of ``network`` a ``SpectralNorm``.

    A grouped convolution is divided by the norm over all its groups, which is above that of each.
    Generators keep their batch norm, as in SAGAN (Zhang et al. 2019, section 3) and BigGAN (Brock
    et al. 2019). Call it after the weights are initialised: they cannot be set afterwards.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
            register_parametrization(module, "weight", SpectralNorm(module.weight))
        elif isinstance(module, nn.ConvTranspose2d):
            register_parametrization(module, "weight", SpectralNorm(module.weight, outputs=1))


def largest_singular_value(network: nn.Module) -> Tensor | None:
    """The largest estimate over all ``SpectralNorm`` layers, a scalar; ``None`` without any."""
    values = [
        part[0].singular_value(part.original)
        for part in network.modules()
        if isinstance(part, ParametrizationList) and isinstance(part[0], SpectralNorm)
    ]
    return torch.stack(values).amax() if values else None
