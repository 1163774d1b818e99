"""R3GAN's network for 32 to 256 pixels (Huang et al. 2024, configuration E).

Residual blocks without normalisation: a 1x1, a grouped 3x3 and a 1x1 convolution, leaky ReLU
before the last two. Two blocks at each resolution from 4x4 to the image's, with bilinear resampling
between. G begins with a learned 4x4 pattern for each channel, weighted by the latent vector, and D
ends with one (generative and discriminative basis). Details that the paper leaves open are those of
its code (brownvc/R3GAN, ``R3GAN/Networks.py``; widths and counts: ``train.py``).

The layers at the image's resolution have ``width`` channels; inward they double down to 32 pixels
and then stay constant. So the published networks are, in colour, with latent 64:

| preset    | pixels | width | G          | D          |
|-----------|--------|-------|------------|------------|
| CIFAR10   | 32     | 768   | 20,732,160 | 20,683,776 |
| FFHQ-64   | 64     | 384   | 22,429,824 | 22,381,440 |
| FFHQ-256  | 256    | 96    | 23,057,952 | 23,009,568 |

unconditional; table 2 of the paper gives 23.058M and 23.010M for the last.

The images are not bounded: no tanh follows the last convolution. A conditional generator appends
the class's vector to the latent one; the logit of a conditional discriminator is <v(label),
features> alone, with as many features as channels at 4x4.
"""

import math
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.functional import avg_pool2d, interpolate

from gantune.config.sections import DiscriminatorNorm, GeneratorNorm, NetworkConfig
from gantune.gan.networks import base

_MIN_SIDE = 4  # pixels: where G begins and D ends
_WIDEST = 32  # pixels: the largest side with the full number of channels
_BLOCKS = 2  # at each side
_EXPANSION = 2  # of channels inside a block
_GROUP = 16  # channels in a group of the 3x3 convolution: 1,536 in 96, and so on
_SLOPE = 0.2  # of leaky ReLU
_GAIN = math.sqrt(2 / (1 + _SLOPE**2))  # He et al. 2015, eq. 14: keeps the variance
_LAYERS = 3  # weight layers in a block


def _channels(width: int, resolution: int) -> list[int]:
    """Channels at each side, from 4x4 outward."""
    count = (resolution // _MIN_SIDE).bit_length()
    sides = [_MIN_SIDE * 2**i for i in range(count)]
    return [width * resolution // max(side, _WIDEST) for side in sides]


class Generator(base.GeneratorBase):
    """Latents [N, latent] to images [N, C, H, W]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: GeneratorNorm) -> None:
        super().__init__(config, shape, norm)
        channels = _channels(config.width, shape.resolution)
        blocks = _BLOCKS * len(channels)
        self.weigh = nn.Linear(self.inputs, channels[0], bias=False)
        self.basis = nn.Parameter(torch.randn(channels[0], _MIN_SIDE, _MIN_SIDE))
        layers: list[nn.Module] = [_Block(channels[0], blocks) for _ in range(_BLOCKS)]
        for inner, outer in pairwise(channels):
            layers += [*_widen(inner, outer), _Upsample()]
            layers += [_Block(outer, blocks) for _ in range(_BLOCKS)]
        self.layers = nn.Sequential(*layers, nn.Conv2d(channels[-1], shape.channels, 1, bias=False))
        _init_weights(self, is_spectral=norm == "spectral")
        if self.classes:
            nn.init.normal_(self.class_vectors.weight, std=1 / math.sqrt(self.classes))

    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        # Multiplied as [N, H, W, C], so that the product is channels last.
        grid = self.weigh(z)[:, None, None, :] * self.basis.permute(1, 2, 0)
        return cast(Tensor, self.layers(grid.permute(0, 3, 1, 2)))


class Discriminator(base.DiscriminatorBase):
    """Images [N, C, H, W] to logits [N]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: DiscriminatorNorm) -> None:
        channels = _channels(config.width, shape.resolution)[::-1]
        super().__init__(shape, channels[-1])
        blocks, last = _BLOCKS * len(channels), channels[-1]
        layers: list[nn.Module] = [nn.Conv2d(shape.channels, channels[0], 1, bias=False)]
        for outer, inner in pairwise(channels):
            layers += [_Block(outer, blocks) for _ in range(_BLOCKS)]
            layers += [_Downsample(), *_widen(outer, inner)]
        layers += [_Block(last, blocks) for _ in range(_BLOCKS)]
        self.layers = nn.Sequential(*layers)
        self.basis = nn.Conv2d(last, last, _MIN_SIDE, groups=last, bias=False)
        self.dense = nn.Linear(last, last if shape.classes else 1, bias=False)
        _init_weights(self, is_spectral=norm == "spectral")
        if shape.classes:
            nn.init.normal_(self.class_vectors.weight, std=1 / math.sqrt(shape.classes * last))

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        features: Tensor = self.dense(self.basis(self.layers(images)).flatten(1))
        return features.flatten() if labels is None else self.project(features, labels)


class _Block(nn.Module):
    """A residual block; ``count`` is the number of them in the network.

    Its first convolutions start smaller the more blocks there are, and its last one at 0 (Fixup,
    Zhang et al. 2019), so that the network starts as if it had no blocks.
    """

    def __init__(self, channels: int, count: int) -> None:
        super().__init__()
        inside = _EXPANSION * channels
        groups = inside // math.gcd(inside, _GROUP)
        self.gain = _GAIN * count ** (-1 / (2 * _LAYERS - 2))
        self.first = nn.Conv2d(channels, inside, 1)
        self.grouped = nn.Conv2d(inside, inside, 3, padding=1, groups=groups)
        self.last = nn.Conv2d(inside, channels, 1, bias=False)
        self.act = nn.LeakyReLU(_SLOPE, inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        inside = self.act(self.grouped(self.act(self.first(features))))
        return cast(Tensor, features + self.last(inside))


class _Upsample(nn.Module):
    """Doubles the side by the filter [1, 3, 3, 1]: bilinear, with 0 beyond the edge.

    Doubling every pixel and averaging neighbours twice is that filter, and far cheaper than a
    depthwise convolution; bilinear ``interpolate`` treats the edge differently, and its gradient is
    not deterministic on a GPU.
    """

    def forward(self, features: Tensor) -> Tensor:
        doubled = interpolate(features, scale_factor=2, mode="nearest")
        return avg_pool2d(avg_pool2d(doubled, 2, 1, padding=1), 2, 1)


class _Downsample(nn.Module):
    """Halves the side by the same filter."""

    def forward(self, features: Tensor) -> Tensor:
        return avg_pool2d(avg_pool2d(avg_pool2d(features, 2, 1, padding=1), 2, 1), 2)


def _widen(before: int, after: int) -> list[nn.Module]:
    return [] if before == after else [nn.Conv2d(before, after, 1, bias=False)]


def _init_weights(network: nn.Module, *, is_spectral: bool) -> None:
    """Variance-preserving weights, except in the blocks.

    With spectral norm a weight must not be 0: the last convolutions then start like the others of
    their block.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            _scale(module, 1.0)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for block in network.modules():
        if isinstance(block, _Block):
            _scale(block.first, block.gain)
            _scale(block.grouped, block.gain)
            _scale(block.last, block.gain if is_spectral else 0.0)


def _scale(layer: nn.Conv2d | nn.Linear, gain: float) -> None:
    nn.init.normal_(layer.weight, std=gain / math.sqrt(layer.weight[0].numel()))
