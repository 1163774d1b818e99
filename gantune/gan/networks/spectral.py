"""Spectral normalisation of a network's weights (Miyato et al. 2018, algorithm 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize
from torch.nn.utils.parametrize import register_parametrization

__all__ = ["SpectralNorm", "add_spectral_norm"]

_FIRST_ITERATIONS = 15  # so that the very first steps see a norm close to 1


class SpectralNorm(nn.Module):
    """A weight, read as a matrix, divided by an estimate of its largest singular value.

    One power iteration a forward pass in training mode. Always in fp32: in bfloat16 the estimate
    would be off by up to 1%, and differently at each step.
    """

    u: Tensor
    v: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        matrix = weight.detach().flatten(1)
        self.register_buffer("u", normalize(torch.randn(matrix.shape[0]), dim=0))
        self.register_buffer("v", normalize(torch.randn(matrix.shape[1]), dim=0))
        for _ in range(_FIRST_ITERATIONS):
            self._iterate(matrix)

    def forward(self, weight: Tensor) -> Tensor:
        with torch.autocast(weight.device.type, enabled=False):
            matrix = weight.flatten(1)
            if self.training:
                self._iterate(matrix.detach())
            return weight / torch.dot(self.u, torch.mv(matrix, self.v))

    def _iterate(self, matrix: Tensor) -> None:
        # New tensors, not new values: graphs of earlier passes still hold the old ones.
        self.v = normalize(torch.mv(matrix.T, self.u), dim=0)
        self.u = normalize(torch.mv(matrix, self.v), dim=0)


def add_spectral_norm(network: nn.Module) -> None:
    """Gives every convolution and linear layer of ``network`` a ``SpectralNorm``.

    To be called once the weights have their initial values, which a layer takes no more after it.
    """
    for module in list(network.modules()):
        if isinstance(module, nn.Conv2d | nn.Linear):
            register_parametrization(module, "weight", SpectralNorm(module.weight))
