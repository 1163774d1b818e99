"""Base classes of all generators and discriminators, and layers that the architectures share.

The base classes check inputs and handle labels; an architecture implements ``generate``, and sets
``layers`` and ``last`` or implements ``discriminate``. ``build_networks`` adds spectral norm.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.functional import fold

from gantune.config.sections import GENERATOR_NORMS, GeneratorNorm, NetworkConfig
from gantune.gan.networks.norms import ConditionalBatchNorm


class GeneratorBase(nn.Module, ABC):
    """Latents [N, latent], and labels int64 [N] if conditional, to images or points.

    ``latent``: number of latent dimensions, ``classes``: 0 if unconditional. A conditional one has
    the buffer ``label_shares``, float32 [classes]: the probability of each class in samples,
    initially uniform. It uses the class by conditional batch norm or, without batch norm, by a
    learned vector of ``latent`` dimensions that is appended to the latent one, as in R3GAN (Huang
    et al. 2024).
    """

    label_shares: Tensor

    def __init__(self, config: NetworkConfig, shape: Shape, norm: GeneratorNorm) -> None:
        super().__init__()
        self.latent, self.classes = config.latent, shape.classes
        self.has_batch_norm = norm == "batch" or (
            norm == "spectral" and GENERATOR_NORMS[config.name][0] == "batch"
        )
        self.inputs = config.latent
        if self.classes:
            shares = torch.full((self.classes,), 1 / self.classes)
            self.register_buffer("label_shares", shares)
            if not self.has_batch_norm:
                self.class_vectors = nn.Embedding(self.classes, config.latent)
                self.inputs += config.latent

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """Images [N, C, H, W] or points [N, 2]; raises ``ValueError`` where labels are missing.

        Without classes, labels are ignored.
        """
        labels = _check_labels(labels, self.classes, len(z), "generator")
        if labels is not None and not self.has_batch_norm:
            z = torch.cat([z, self.class_vectors(labels)], 1)
        return self.generate(z, labels)

    @abstractmethod
    def generate(self, z: Tensor, labels: Tensor | None) -> Tensor:
        """Images or points from inputs [N, inputs]; labels are ``None`` if unconditional."""

    def norms(self, channels: int, *, points: bool = False) -> list[nn.Module]:
        """Batch norm, conditional or not, between a layer and its activation; or nothing."""
        if not self.has_batch_norm:
            return []
        kind = nn.BatchNorm1d if points else nn.BatchNorm2d
        if self.classes:
            return [ConditionalBatchNorm(kind(channels, affine=False), self.classes)]
        return [kind(channels)]


class DiscriminatorBase(nn.Module):
    """Images [N, C, H, W] or points [N, 2], and labels int64 [N] if conditional, to logits [N].

    A conditional one adds <v(label), features> to its logit, with a learned vector ``v`` for each
    class (projection, Miyato and Koyama 2018, eq. 3), initially Xavier-uniform as in the authors'
    code.
    """

    layers: nn.Module
    last: nn.Module

    def __init__(self, shape: Shape, features: int) -> None:
        super().__init__()
        self.shape = shape
        if shape.classes:
            self.class_vectors = nn.Embedding(shape.classes, features)
            nn.init.xavier_uniform_(self.class_vectors.weight)

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        """Logits [N]; raises ``ValueError`` for images of another size, or without labels.

        Convolutions take any size, so that a wrong one would give a wrong number of logits.
        Without classes, labels are ignored.
        """
        channels, side, classes = self.shape
        expected = (channels, side, side) if side else (channels,)
        if images.shape[1:] != expected:
            raise ValueError(
                f"the discriminator was built for images {list(expected)} and was given "
                f"{list(images.shape[1:])}; set data.resolution and data.colour to the images' own"
            )
        return self.discriminate(
            images, _check_labels(labels, classes, len(images), "discriminator")
        )

    def discriminate(self, images: Tensor, labels: Tensor | None) -> Tensor:
        """Logits [N]: ``last`` on the features of ``layers``, plus the projection of these."""
        features: Tensor = self.layers(images)
        return self.projected(self.last(features), features, labels)

    def project(self, features: Tensor, labels: Tensor) -> Tensor:
        """<v(label), features> [N], of features [N, C], or [N, C, H, W] summed over H and W."""
        pooled = features.sum((2, 3)) if features.ndim == 4 else features
        vectors: Tensor = self.class_vectors(labels)
        return (vectors * pooled).sum(1)

    def projected(self, logits: Tensor, features: Tensor, labels: Tensor | None) -> Tensor:
        """Logits [N], plus the projection if conditional."""
        return logits if labels is None else logits + self.project(features, labels)


def _check_labels(labels: Tensor | None, classes: int, number: int, player: str) -> Tensor | None:
    if not classes:
        return None
    # One label for all would be broadcast. The values are not checked: that would wait for the
    # device.
    if labels is None or labels.shape != (number,):
        given = "none" if labels is None else f"a tensor {list(labels.shape)}"
        raise ValueError(
            f"this {player} is conditional ({classes} classes): it takes labels, int64 "
            f"[{number}], beside its input and was given {given}; build it with "
            "network.conditional false to do without"
        )
    return labels


# ---- Shared by the architectures ----------------------------------------------------------------


class Shape(NamedTuple):
    """Channels of an image (2 coordinates for points) and its side in pixels (0 for points).

    ``classes``: the number of classes of conditional networks; 0: unconditional.
    """

    channels: int
    resolution: int
    classes: int = 0


class ToImage(nn.ConvTranspose2d):
    """The generator's last convolution.

    On the CPU a gray image is computed as a matrix product and a ``fold``: the same numbers three
    times as fast, since oneDNN pads the one channel to sixteen.
    """

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        if self.out_channels > 1 or features.device.type != "cpu":
            return super().forward(features, output_size)
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)  # [N, H * W, inner channels]
        columns = (rows @ self.weight.flatten(1)).transpose(1, 2)  # [N, kernel, H * W]
        side = (features.shape[-1] - 1) * self.stride[0] - 2 * int(self.padding[0])
        side += self.kernel_size[0] + self.output_padding[0]
        image = fold(columns, side, self.kernel_size, 1, int(self.padding[0]), self.stride)
        return image if self.bias is None else image + self.bias.view(1, -1, 1, 1)


def as_grid(rows: Tensor, side: int) -> Tensor:
    """A dense layer's output [N, side * side * C] as features [N, C, side, side].

    Channels last by construction: read as [N, H, W, C].
    """
    return rows.view(len(rows), side, side, -1).permute(0, 3, 1, 2)


def init_normal(network: nn.Module) -> None:
    """Weights from N(0, 0.02), batch norm's gain from N(1, 0.02) (Radford et al. 2015, sec. 4)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


def init_xavier(network: nn.Module) -> None:
    """Xavier-uniform weights (Glorot and Bengio 2010, eq. 16), biases 0."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
