"""The architectures, one file each, and ``build_networks``, which picks one by a config."""

from __future__ import annotations

from typing import NamedTuple

from torch import nn

from gantune.config import RESOLUTIONS, TrialConfig
from gantune.errors import ConfigError
from gantune.gan.networks import dcgan, dcgan28, mlp
from gantune.gan.networks.layers import Shape

__all__ = ["Networks", "Shape", "build_networks", "image_shape"]


class Networks(NamedTuple):
    """Both players of one game, on the CPU, in fp32 and in training mode.

    ``generator``: latents [N, latent] to images [N, C, H, W] in [-1, 1], or to points [N, 2]; its
    attribute ``latent`` says how many dimensions it takes. ``discriminator``: images to logits [N].
    """

    generator: nn.Module
    discriminator: nn.Module


def build_networks(config: TrialConfig) -> Networks:
    """The generator and the discriminator that ``config`` describes, with fresh weights.

    The weights come from torch's global random state: call ``torch.manual_seed`` first to repeat
    them. Raises ``ConfigError`` where the data's resolution or colour is still ``auto``.
    """
    shape = image_shape(config)
    architecture = {"dcgan": dcgan, "dcgan28": dcgan28, "mlp": mlp}[config.network.name]
    return Networks(
        architecture.Generator(config.network, shape),
        architecture.Discriminator(config.network, shape, config.discriminator.norm),
    )


def image_shape(config: TrialConfig) -> Shape:
    """What one real image is, from a config whose data is resolved; raises ``ConfigError``."""
    data = config.data
    if RESOLUTIONS[config.network.name] is None:
        return Shape(channels=2, resolution=0)
    if data.resolution == "auto" or data.colour == "auto":
        raise ConfigError(
            f"data.resolution is {data.resolution!r} and data.colour {data.colour!r}: a network "
            "needs a number of pixels and 'gray' or 'rgb'; set both, or resolve the config with "
            "gantune.data.resolve_data(config)"
        )
    return Shape(channels=1 if data.colour == "gray" else 3, resolution=data.resolution)
