"""The 28x28 DCGAN of TensorFlow's tutorial: a dense layer and transposed 5x5 convolutions."""

from __future__ import annotations

from typing import cast

from torch import Tensor, nn

from gantune.config import NetworkConfig
from gantune.gan.networks.layers import Norm, Shape, ToImage, layer
from gantune.gan.networks.spectral import add_spectral_norm

__all__ = ["Discriminator", "Generator"]

_SIDE = 7  # pixels, where the convolutions begin and end: 28 / 2 / 2
_SLOPE = 0.3  # of leaky ReLU: what Keras takes, and with it the tutorial


class Generator(nn.Module):
    """Latents [N, latent] to images [N, C, 28, 28] in [-1, 1]."""

    def __init__(self, config: NetworkConfig, shape: Shape) -> None:
        super().__init__()
        self.latent = config.latent
        width, dense = config.width, _SIDE * _SIDE * 4 * config.width
        self.project = nn.Sequential(
            nn.Linear(config.latent, dense, bias=False),
            nn.BatchNorm1d(dense),
            nn.LeakyReLU(_SLOPE, inplace=True),
        )
        self.layers = nn.Sequential(
            nn.ConvTranspose2d(4 * width, 2 * width, 5, stride=1, padding=2, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.ConvTranspose2d(
                2 * width, width, 5, stride=2, padding=2, output_padding=1, bias=False
            ),
            nn.BatchNorm2d(width),
            nn.LeakyReLU(_SLOPE, inplace=True),
            ToImage(width, shape.channels, 5, stride=2, padding=2, output_padding=1, bias=False),
            nn.Tanh(),
        )
        _start_glorot(self)

    def forward(self, z: Tensor) -> Tensor:
        # Channels last by construction: the dense output is read as [N, H, W, C].
        grid = self.project(z).view(len(z), _SIDE, _SIDE, -1).permute(0, 3, 1, 2)
        return cast(Tensor, self.layers(grid))


class Discriminator(nn.Module):
    """Images [N, C, 28, 28] to logits [N]."""

    def __init__(self, config: NetworkConfig, shape: Shape, norm: Norm) -> None:
        super().__init__()
        width = config.width
        second = nn.Conv2d(width, 2 * width, 5, stride=2, padding=2, bias=norm != "batch")
        self.layers = nn.Sequential(
            nn.Conv2d(shape.channels, width, 5, stride=2, padding=2),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Dropout(0.3),
            *layer(second, norm),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Dropout(0.3),
            nn.Flatten(),
            nn.Linear(_SIDE * _SIDE * 2 * width, 1),
            nn.Flatten(0),
        )
        _start_glorot(self)
        if norm == "spectral":
            add_spectral_norm(self)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images))


def _start_glorot(network: nn.Module) -> None:
    """Glorot and Bengio 2010, eq. 16, and no bias: Keras' defaults."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
