"""Three hidden layers for points in the plane, as in toy experiments on mixtures.

A conditional D projects on its last hidden layer.
"""

from typing import cast

from torch import Tensor, nn

from gantune.config.sections import DiscriminatorNorm, GeneratorNorm, NetworkConfig
from gantune.gan.networks import base
from gantune.gan.networks.norms import Chain, discriminator_norms


class Generator(base.GeneratorBase):
    """Latents [N, latent] to points [N, 2]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: GeneratorNorm) -> None:
        super().__init__(config, shape, norm)
        width = config.width
        layers: list[nn.Module] = []
        for inputs in (self.inputs, width, width):
            hidden = nn.Linear(inputs, width, bias=not self.has_batch_norm)
            layers += [hidden, *self.norms(width, points=True), nn.ReLU(inplace=True)]
        self.layers = Chain(*layers, nn.Linear(width, shape.channels))

    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        return cast(Tensor, self.layers(z, labels))


class Discriminator(base.DiscriminatorBase):
    """Points [N, 2] to logits [N]."""

    def __init__(self, config: NetworkConfig, shape: base.Shape, norm: DiscriminatorNorm) -> None:
        width = config.width
        super().__init__(shape, width)
        layers: list[nn.Module] = [nn.Linear(shape.channels, width)]
        for _ in range(2):
            norms = discriminator_norms(norm, width, points=True)
            hidden = nn.Linear(width, width, bias=not norms)
            layers += [nn.LeakyReLU(0.2, inplace=True), hidden, *norms]
        self.layers = nn.Sequential(*layers, nn.LeakyReLU(0.2, inplace=True))
        self.last = nn.Sequential(nn.Linear(width, 1), nn.Flatten(0))
