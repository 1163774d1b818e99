"""The residual networks of WGAN-GP and SNGAN for 32 to 256 pixels.

Gulrajani et al. 2017 (appendix F) and Miyato et al. 2018 (tables 4 to 6). Details that the tables
leave open, and the layouts at 64 and 256 pixels, are those of SNGAN's code (pfnet-research/
sngan_projection, ``gen_models`` and ``dis_models``). From 64 pixels, the layer nearest the image
has ``width`` channels and those further in up to 16 times as many. At 32 pixels all layers have the
same number: 4 times ``width`` in G and twice ``width`` in D. So width 64 gives the published
networks of 256 and 128 channels.

Parameters at width 64 and latent 128, in colour, unconditional:

| pixels | G          | D          |
|--------|------------|------------|
| 32     | 4,275,971  | 1,053,825  |
| 64     | 12,219,715 | 10,141,441 |
| 128    | 32,148,803 | 29,017,857 |
| 256    | 37,132,611 | 34,000,129 |

The published G has one more for each output channel of a block (768 at 32 pixels: 4,276,739): a
bias that batch norm cancels. In the shortcuts, resampling and 1x1 convolution commute; here they
are in the cheaper order.
"""

import math
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import NamedTuple, cast

from torch import Tensor, nn

from gantune.config.sections import DiscriminatorNorm, GeneratorNorm, NetworkConfig
from gantune.gan.networks import base
from gantune.gan.networks.norms import Chain, Labelled, discriminator_norms

_MIN_SIDE = 4  # pixels: where G begins

_Norms = Callable[[int], list[nn.Module]]


class _Layout(NamedTuple):
    """Channels as multiples of ``width``."""

    generator: tuple[int, ...]
    """Of the dense layer, then of each block, which doubles the side."""
    discriminator: tuple[int, ...]
    """Of each block."""
    halvings: int
    """How many of D's first blocks halve the side."""


_LAYOUTS = {
    32: _Layout((4, 4, 4, 4), (2, 2, 2, 2), 2),
    64: _Layout((16, 8, 4, 2, 1), (1, 2, 4, 8, 16), 5),
    128: _Layout((16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16), 5),
    256: _Layout((16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16), 6),
}


class Generator(base.GeneratorBase):
    """Latents [N, latent] to images [N, C, H, W] in [-1, 1]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: GeneratorNorm) -> None:
        super().__init__(config, shape, norm)
        channels = [config.width * m for m in _LAYOUTS[shape.resolution].generator]
        self.project = nn.Linear(self.inputs, _MIN_SIDE * _MIN_SIDE * channels[0])
        self.layers = Chain(
            *[_upward(inner, outer, self.norms) for inner, outer in pairwise(channels)],
            *self.norms(channels[-1]),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels[-1], shape.channels, 3, padding=1),
            nn.Tanh(),
        )
        _init_weights(self)

    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return cast(Tensor, self.layers(base.as_grid(self.project(z), _MIN_SIDE), labels))


class Discriminator(base.DiscriminatorBase):
    """Images [N, C, H, W] to logits [N]: a dense layer on features summed over all pixels.

    Only the blocks have normalisation, and not the first one (code of Gulrajani et al. 2017). A
    conditional one projects on the input of the dense layer (Miyato and Koyama 2018, figure 14).
    """

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: DiscriminatorNorm) -> None:
        layout = _LAYOUTS[shape.resolution]
        channels = [config.width * m for m in layout.discriminator]
        super().__init__(shape, channels[-1])

        norms = partial(discriminator_norms, norm)
        blocks: list[nn.Module] = [_first(shape.channels, channels[0])]
        for i, (outer, inner) in enumerate(pairwise(channels), start=1):
            blocks.append(_inward(outer, inner, norms, halve=i < layout.halvings))
        self.layers = nn.Sequential(*blocks, nn.ReLU(inplace=True))
        self.dense = nn.Linear(channels[-1], 1)
        _init_weights(self)

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        features = self.layers(images).sum((2, 3))
        return self.projected(self.dense(features).flatten(), features, labels)


class _Residual(Labelled):
    """The sum of a residual branch, which gets the labels, and a shortcut."""

    def __init__(self, residual: Chain, shortcut: nn.Module) -> None:
        super().__init__()
        self.residual, self.shortcut = residual, shortcut

    def forward(self, features: Tensor, labels: Tensor | None = None) -> Tensor:
        return cast(Tensor, self.residual(features, labels) + self.shortcut(features))


def _upward(inner: int, outer: int, norms: _Norms) -> nn.Module:
    """G's block, which doubles the side."""
    first, second = norms(inner), norms(outer)
    residual = Chain(
        *first,
        nn.ReLU(inplace=bool(first)),  # the shortcut still needs the input
        nn.Upsample(scale_factor=2),
        nn.Conv2d(inner, outer, 3, padding=1, bias=not second),
        *second,
        nn.ReLU(inplace=True),
        nn.Conv2d(outer, outer, 3, padding=1),
    )
    shortcut = nn.Sequential(nn.Conv2d(inner, outer, 1), nn.Upsample(scale_factor=2))
    return _Residual(residual, shortcut)


def _inward(outer: int, inner: int, norms: _Norms, *, halve: bool) -> nn.Module:
    """D's block; with ``halve`` it halves the side."""
    first, second = norms(outer), norms(outer)
    halving: list[nn.Module] = [nn.AvgPool2d(2)] if halve else []
    residual = Chain(
        *first,
        nn.ReLU(inplace=bool(first)),  # the shortcut still needs the input
        nn.Conv2d(outer, outer, 3, padding=1, bias=not second),
        *second,
        nn.ReLU(inplace=True),
        nn.Conv2d(outer, inner, 3, padding=1),
        *halving,
    )
    widening: list[nn.Module] = [nn.Conv2d(outer, inner, 1)] if halve or outer != inner else []
    return _Residual(residual, nn.Sequential(*halving, *widening))


def _first(channels: int, inner: int) -> nn.Module:
    """D's first block: no activation before it, halves the side."""
    residual = Chain(
        nn.Conv2d(channels, inner, 3, padding=1),
        nn.ReLU(inplace=True),
        nn.Conv2d(inner, inner, 3, padding=1),
        nn.AvgPool2d(2),
    )
    return _Residual(residual, nn.Sequential(nn.AvgPool2d(2), nn.Conv2d(channels, inner, 1)))


def _init_weights(network: nn.Module) -> None:
    """Xavier-uniform weights; those of the residual branches times the root of 2."""
    base.init_xavier(network)
    for block in network.modules():
        if isinstance(block, _Residual):
            for convolution in block.residual:
                if isinstance(convolution, nn.Conv2d):
                    nn.init.xavier_uniform_(convolution.weight, math.sqrt(2))
