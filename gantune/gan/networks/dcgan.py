"""DCGAN for 16 to 128 pixels (Radford et al. 2015).

Stride-2 4x4 convolutions between 4x4 and the image; the layer nearest the image has ``width``
channels, each further in twice as many, at most eight times ``width``.
"""

from __future__ import annotations

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from gantune.config import NetworkConfig
from gantune.gan.networks.layers import Norm, Shape, ToImage, layer, start_small
from gantune.gan.networks.spectral import add_spectral_norm

__all__ = ["Discriminator", "Generator"]

_SMALLEST = 4  # pixels: the side at which the convolutions begin and end
_MOST_DOUBLED = 8  # times width


def _channels(width: int, resolution: int) -> list[int]:
    """Channels from the layer nearest the image inward, one for each halving of the side."""
    halvings = (resolution // _SMALLEST).bit_length() - 1
    return [width * min(2**i, _MOST_DOUBLED) for i in range(halvings)]


class Generator(nn.Module):
    """Latents [N, latent] to images [N, C, H, W] in [-1, 1]."""

    def __init__(self, config: NetworkConfig, shape: Shape) -> None:
        super().__init__()
        self.latent = config.latent
        outward = _channels(config.width, shape.resolution)[::-1]
        self.project = nn.Linear(config.latent, _SMALLEST * _SMALLEST * outward[0], bias=False)
        layers: list[nn.Module] = [nn.BatchNorm2d(outward[0]), nn.ReLU(inplace=True)]
        for inner, outer in pairwise(outward):
            layers += [
                nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outer),
                nn.ReLU(inplace=True),
            ]
        to_image = ToImage(outward[-1], shape.channels, 4, stride=2, padding=1)
        self.layers = nn.Sequential(*layers, to_image, nn.Tanh())
        start_small(self)

    def forward(self, z: Tensor) -> Tensor:
        # Channels last by construction: the dense output is read as [N, H, W, C].
        grid = self.project(z).view(len(z), _SMALLEST, _SMALLEST, -1).permute(0, 3, 1, 2)
        return cast(Tensor, self.layers(grid))


class Discriminator(nn.Module):
    """Images [N, C, H, W] to logits [N]."""

    def __init__(self, config: NetworkConfig, shape: Shape, norm: Norm) -> None:
        super().__init__()
        inward = _channels(config.width, shape.resolution)
        layers: list[nn.Module] = [
            # No batch norm on the first layer (Radford et al. 2015, section 3).
            nn.Conv2d(shape.channels, inward[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for outer, inner in pairwise(inward):
            halving = nn.Conv2d(outer, inner, 4, stride=2, padding=1, bias=norm != "batch")
            layers += [*layer(halving, norm), nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(inward[-1], 1, _SMALLEST), nn.Flatten(0))
        start_small(self)
        if norm == "spectral":
            add_spectral_norm(self)

    def forward(self, images: Tensor) -> Tensor:
        return cast(Tensor, self.layers(images))
