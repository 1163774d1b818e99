"""Three hidden layers for points in the plane, as the toy experiments on mixtures use."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from gantune.config import NetworkConfig
from gantune.gan.networks.layers import Norm, Shape, layer
from gantune.gan.networks.spectral import add_spectral_norm

__all__ = ["Discriminator", "Generator"]


class Generator(nn.Module):
    """Latents [N, latent] to points [N, 2]."""

    def __init__(self, config: NetworkConfig, shape: Shape) -> None:
        super().__init__()
        self.latent = config.latent
        width = config.width
        self.layers = nn.Sequential(
            nn.Linear(config.latent, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, width),
            nn.ReLU(inplace=True),
            nn.Linear(width, shape.channels),
        )

    def forward(self, z: Tensor) -> Tensor:
        return cast(Tensor, self.layers(z))


class Discriminator(nn.Module):
    """Points [N, 2] to logits [N]."""

    def __init__(self, config: NetworkConfig, shape: Shape, norm: Norm) -> None:
        super().__init__()
        width = config.width
        layers: list[nn.Module] = [nn.Linear(shape.channels, width)]
        for _ in range(2):
            hidden = nn.Linear(width, width, bias=norm != "batch")
            layers += [nn.LeakyReLU(0.2, inplace=True), *layer(hidden, norm)]
        last = nn.Linear(width, 1)
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True), last, nn.Flatten(0))
        if norm == "spectral":
            add_spectral_norm(self)

    def forward(self, points: Tensor) -> Tensor:
        return cast(Tensor, self.layers(points))
