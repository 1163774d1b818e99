"""The 28x28 DCGAN of TensorFlow's tutorial: a dense layer and transposed 5x5 convolutions.

At width 64 and latent 100, in gray, it is the tutorial's: 2,305,472 parameters in G, 212,865 in D.

A conditional D projects on the features before its dense layer, summed over 7x7 pixels.
"""

from typing import cast

from torch import Tensor, nn

from gantune.config.sections import DiscriminatorNorm, GeneratorNorm, NetworkConfig
from gantune.gan.networks import base
from gantune.gan.networks.norms import Chain, discriminator_norms

_SIDE = 7  # pixels, at the inner end of the convolutions: 28 / 2 / 2
_SLOPE = 0.3  # of leaky ReLU: the default of Keras, and so of the tutorial


class Generator(base.GeneratorBase):
    """Latents [N, latent] to images [N, C, 28, 28] in [-1, 1]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: GeneratorNorm) -> None:
        super().__init__(config, shape, norm)
        width, dense = config.width, _SIDE * _SIDE * 4 * config.width
        bias = not self.has_batch_norm
        self.project = Chain(
            nn.Linear(self.inputs, dense, bias=bias),
            *self.norms(dense, points=True),
            nn.LeakyReLU(_SLOPE, inplace=True),
        )
        self.layers = Chain(
            nn.ConvTranspose2d(4 * width, 2 * width, 5, stride=1, padding=2, bias=bias),
            *self.norms(2 * width),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.ConvTranspose2d(
                2 * width, width, 5, stride=2, padding=2, output_padding=1, bias=bias
            ),
            *self.norms(width),
            nn.LeakyReLU(_SLOPE, inplace=True),
            # As in the tutorial, without a bias although no batch norm follows.
            base.ToImage(
                width, shape.channels, 5, stride=2, padding=2, output_padding=1, bias=False
            ),
            nn.Tanh(),
        )
        base.init_xavier(self)

    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return cast(Tensor, self.layers(base.as_grid(self.project(z, labels), _SIDE), labels))


class Discriminator(base.DiscriminatorBase):
    """Images [N, C, 28, 28] to logits [N]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: DiscriminatorNorm) -> None:
        width = config.width
        super().__init__(shape, 2 * width)
        norms = discriminator_norms(norm, 2 * width)
        self.layers = nn.Sequential(
            nn.Conv2d(shape.channels, width, 5, stride=2, padding=2),
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Dropout(0.3),
            nn.Conv2d(width, 2 * width, 5, stride=2, padding=2, bias=not norms),
            *norms,
            nn.LeakyReLU(_SLOPE, inplace=True),
            nn.Dropout(0.3),
        )
        dense = nn.Linear(_SIDE * _SIDE * 2 * width, 1)
        self.last = nn.Sequential(nn.Flatten(), dense, nn.Flatten(0))
        base.init_xavier(self)
