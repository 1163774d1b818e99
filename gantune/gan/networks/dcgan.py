"""DCGAN for 16 to 256 pixels (Radford et al. 2015).

Stride-2 4x4 convolutions between 4x4 and the image. The layer nearest the image has ``width``
channels; each layer further in doubles them, up to eight times ``width``. Parameters at 64 pixels
in colour, with latent 100 and batch norm in D:

| width |                                  | G          | D          |
|-------|----------------------------------|------------|------------|
| 64    | PyTorch's DCGAN tutorial         | 3,576,707  | 2,765,633  |
| 128   | the paper's figure 1             | 12,658,435 | 11,036,289 |

The tutorial omits the biases where no batch norm follows, 3 and 65 of these.

A conditional D projects on the features before its last convolution, summed over 4x4 pixels.
"""

from itertools import pairwise
from typing import cast

from torch import Tensor, nn

from gantune.config.sections import DiscriminatorNorm, GeneratorNorm, NetworkConfig
from gantune.gan.networks import base
from gantune.gan.networks.norms import Chain, discriminator_norms

_MIN_SIDE = 4  # pixels: at the inner end of the convolutions
_MAX_MULTIPLE = 8  # times width


def _channels(width: int, resolution: int) -> list[int]:
    """Channels from the layer nearest the image inward, one for each halving of the side."""
    halvings = (resolution // _MIN_SIDE).bit_length() - 1
    return [width * min(2**i, _MAX_MULTIPLE) for i in range(halvings)]


class Generator(base.GeneratorBase):
    """Latents [N, latent] to images [N, C, H, W] in [-1, 1]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: GeneratorNorm) -> None:
        super().__init__(config, shape, norm)
        outward, bias = _channels(config.width, shape.resolution)[::-1], not self.has_batch_norm
        self.project = nn.Linear(self.inputs, _MIN_SIDE * _MIN_SIDE * outward[0], bias=bias)
        layers: list[nn.Module] = [*self.norms(outward[0]), nn.ReLU(inplace=True)]
        for inner, outer in pairwise(outward):
            convolution = nn.ConvTranspose2d(inner, outer, 4, stride=2, padding=1, bias=bias)
            layers += [convolution, *self.norms(outer), nn.ReLU(inplace=True)]
        to_image = base.ToImage(outward[-1], shape.channels, 4, stride=2, padding=1)
        self.layers = Chain(*layers, to_image, nn.Tanh())
        base.init_normal(self)

    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return cast(Tensor, self.layers(base.as_grid(self.project(z), _MIN_SIDE), labels))


class Discriminator(base.DiscriminatorBase):
    """Images [N, C, H, W] to logits [N]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: DiscriminatorNorm) -> None:
        inward = _channels(config.width, shape.resolution)
        super().__init__(shape, inward[-1])
        layers: list[nn.Module] = [
            # No batch norm on the first layer (Radford et al. 2015, section 3).
            nn.Conv2d(shape.channels, inward[0], 4, stride=2, padding=1),
            nn.LeakyReLU(0.2, inplace=True),
        ]
        for outer, inner in pairwise(inward):
            norms = discriminator_norms(norm, inner)
            convolution = nn.Conv2d(outer, inner, 4, stride=2, padding=1, bias=not norms)
            layers += [convolution, *norms, nn.LeakyReLU(0.2, inplace=True)]
        self.layers = nn.Sequential(*layers)
        self.last = nn.Sequential(nn.Conv2d(inward[-1], 1, _MIN_SIDE), nn.Flatten(0))
        base.init_normal(self)
