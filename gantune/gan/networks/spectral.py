"""Spectral normalisation of a network's weights (Miyato et al. 2018, algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrize import ParametrizationList, register_parametrization

__all__ = ["SpectralNorm", "add_spectral_norm", "largest_singular_value"]

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
