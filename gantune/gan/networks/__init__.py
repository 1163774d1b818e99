"""The architectures, one module each, and ``build_networks``, which picks one by the config."""

from typing import NamedTuple

from torch import nn

from gantune.config import RESOLUTIONS, TrialConfig
from gantune.config.sections import GENERATOR_NORMS
from gantune.data.image_set import ImageSet
from gantune.errors import ConfigError, DataError
from gantune.gan.networks import dcgan, dcgan28, mlp, r3gan, resnet
from gantune.gan.networks.base import Shape
from gantune.gan.networks.norms import add_spectral_norm

__all__ = ["Networks", "Shape", "build_networks", "check_images", "describe_networks"]

_ARCHITECTURES = {
    "dcgan": dcgan,
    "dcgan28": dcgan28,
    "resnet": resnet,
    "r3gan": r3gan,
    "mlp": mlp,
}


class Networks(NamedTuple):
    """Both players, on the CPU, in fp32 and in training mode.

    ``generator``: latents [N, latent], and labels int64 [N] if it is conditional, to images
    [N, C, H, W], or to points [N, 2]. Real images lie in [-1, 1], and so do generated ones; only
    those of ``r3gan`` may lie beyond, as published. Attributes: ``latent``, its number of latent
    dimensions, ``classes`` (0: unconditional), and if it is conditional ``label_shares``, float32
    [classes].
    ``discriminator``: images, and labels if it is conditional, to logits [N].
    """

    generator: nn.Module
    discriminator: nn.Module


def build_networks(config: TrialConfig) -> Networks:
    """The generator and the discriminator of ``config``, with initial weights.

    The weights come from torch's global random state: call ``torch.manual_seed`` first to
    reproduce them. Raises ``ConfigError`` where the data's resolution, colour or classes, or
    whether the network is conditional, is still ``auto``.
    """
    shape, name, norm = image_shape(config), config.network.name, config.generator.norm
    architecture = _ARCHITECTURES[name]
    norm = GENERATOR_NORMS[name][0] if norm == "auto" else norm
    generator = architecture.Generator(config.network, shape, norm)
    if norm == "spectral":
        add_spectral_norm(generator)
    discriminator = architecture.Discriminator(config.network, shape, config.discriminator.norm)
    if config.discriminator.norm == "spectral":
        add_spectral_norm(discriminator)
    return Networks(generator, discriminator)


def image_shape(config: TrialConfig) -> Shape:
    """The shape of one real image, and the number of classes of a conditional network.

    Raises ``ConfigError`` where the config's data is not resolved.
    """
    data, classes, conditional = config.data, config.data.classes, config.network.conditional
    if conditional is False:
        classes = 0
    elif conditional == "auto" or classes == "auto" or classes == 0:
        raise ConfigError(
            f"network.conditional is {conditional!r} and data.classes {classes!r}: a conditional "
            "network needs to know how many classes there are; set network.conditional true and "
            "data.classes to their number, or resolve the config with "
            "gantune.data.resolve_data(config)"
        )
    if RESOLUTIONS[config.network.name] is None:
        return Shape(channels=2, resolution=0, classes=classes)
    if data.resolution == "auto" or data.colour == "auto":
        raise ConfigError(
            f"data.resolution is {data.resolution!r} and data.colour {data.colour!r}: a network "
            "needs a number of pixels and 'gray' or 'rgb'; set both, or resolve the config with "
            "gantune.data.resolve_data(config)"
        )
    return Shape(1 if data.colour == "gray" else 3, data.resolution, classes)


def check_images(config: TrialConfig, images: ImageSet) -> None:
    """Raises ``DataError`` where the images do not match the config."""
    shape, given = image_shape(config), images.array.shape[1:]
    expected = (2,) if config.data.is_points else (shape.channels, *[shape.resolution] * 2)
    if given != expected:
        raise DataError(
            f"{images.source}: images of shape {tuple(given)}, but the config says "
            f"{shape.channels} channels of {shape.resolution} pixels; load them with its own data "
            "settings (gantune.data.load_images(config.data))"
        )
    if config.batch_size > len(images):
        raise DataError(
            f"batch_size {config.batch_size} is above the {len(images)} images of "
            f"{images.source}; take at most {len(images)}"
        )
    if shape.classes and images.class_count != shape.classes:
        raise DataError(
            f"{images.source}: labels of {images.class_count} classes, but the config says "
            f"{shape.classes}; leave data.classes at auto, or set network.conditional false"
        )


def describe_networks(config: TrialConfig) -> str:
    """The networks of a config in words, for messages."""
    network, data = config.network, config.data
    size = "" if data.is_points else f" for {data.resolution} pixels, {data.colour}"
    classes = f", {data.classes} classes" if network.conditional else ""
    return (
        f"network {network.name!r}{size}, width {network.width}, latent {network.latent}, "
        f"norms {config.generator.norm} and {config.discriminator.norm}{classes}"
    )
