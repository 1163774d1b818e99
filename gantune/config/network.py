"""The architectures: what they make, and which normalisations they have."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from gantune.config.base import ConfigModel

DiscriminatorNorm = Literal["none", "batch", "layer", "instance", "spectral"]
GeneratorNorm = Literal["none", "batch", "spectral"]

RESOLUTIONS: dict[str, tuple[int, ...] | None] = {
    "dcgan": (16, 32, 64, 128, 256),
    "dcgan28": (28,),
    "resnet": (32, 64, 128, 256),
    "r3gan": (32, 64, 128, 256),
    "mlp": None,  # points, not images
}
"""The image sizes, in pixels, that each network makes; ``None`` for one that makes points."""

_OF_IMAGES: tuple[DiscriminatorNorm, ...] = ("none", "batch", "layer", "instance", "spectral")
DISCRIMINATOR_NORMS: dict[str, tuple[DiscriminatorNorm, ...]] = {
    "dcgan": _OF_IMAGES,
    "dcgan28": _OF_IMAGES,
    "resnet": _OF_IMAGES,
    "r3gan": ("none", "spectral"),  # its initial weights take the place of a normalisation
    "mlp": ("none", "batch", "layer", "spectral"),  # a point is no image to normalise over
}
"""The normalisations that each network's discriminator has."""

GENERATOR_NORMS: dict[str, tuple[GeneratorNorm, ...]] = {
    "dcgan": ("batch", "none", "spectral"),
    "dcgan28": ("batch", "none", "spectral"),
    "resnet": ("batch", "none", "spectral"),
    "r3gan": ("none", "spectral"),
    "mlp": ("none", "batch", "spectral"),
}
"""The normalisations that each network's generator has, its own first: that is ``auto``."""


class NetworkConfig(ConfigModel):
    """The architecture of both players."""

    name: Literal["dcgan", "dcgan28", "resnet", "r3gan", "mlp"] = "dcgan"
    """``dcgan`` (Radford et al. 2015; 16 to 256 pixels), ``dcgan28`` (a dense layer and transposed
    5x5 convolutions; 28 pixels), ``resnet`` (Gulrajani et al. 2017, Miyato et al. 2018; 32 to 256
    pixels), ``r3gan`` (Huang et al. 2024: grouped convolutions in residual blocks without
    normalisation; 32 to 256 pixels), ``mlp`` (points in the plane)."""
    width: int = Field(default=64, ge=4, le=1024)
    """Channels of the layer nearest the image; layers further in have multiples of it. ``resnet``
    at 32 pixels has one number throughout: 4 times this in the generator, twice in the
    discriminator. For ``mlp`` the units of each hidden layer."""
    latent: int = Field(default=100, ge=1, le=4096)
    """Dimensions of the latent vector, drawn from a standard normal distribution."""
    conditional: Literal["auto"] | bool = False
    """Whether both players are told each image's class: in the generator by conditional batch norm
    (Dumoulin et al. 2017) or, without batch norm, beside the latent vector; in the discriminator by
    projection (Miyato and Koyama 2018). ``auto``: where the data has labels."""
