"""What the architectures share: the shape of an image, the last convolution, initial weights."""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.functional import fold

__all__ = ["Shape", "ToImage", "as_grid", "start_glorot", "start_small"]


class Shape(NamedTuple):
    """One image: its channels (2 coordinates for points) and its side in pixels (0 for points).

    ``classes``: how many classes the networks are told of; 0: they are unconditional.
    """

    channels: int
    resolution: int
    classes: int = 0


class ToImage(nn.ConvTranspose2d):
    """The generator's last convolution.

    On the CPU a gray image is computed as a matrix product whose columns are added up at their
    places: the same numbers three times as fast, since oneDNN fills up the one channel to sixteen.
    """

    def forward(self, features: Tensor, output_size: list[int] | None = None) -> Tensor:
        if self.out_channels > 1 or features.device.type != "cpu":
            return super().forward(features, output_size)
        rows = features.permute(0, 2, 3, 1).flatten(1, 2)  # [N, places, inner channels]
        columns = (rows @ self.weight.flatten(1)).transpose(1, 2)  # [N, kernel, places]
        side = (features.shape[-1] - 1) * self.stride[0] - 2 * int(self.padding[0])
        side += self.kernel_size[0] + self.output_padding[0]
        image = fold(columns, side, self.kernel_size, 1, int(self.padding[0]), self.stride)
        return image if self.bias is None else image + self.bias.view(1, -1, 1, 1)


def as_grid(rows: Tensor, side: int) -> Tensor:
    """A dense layer's output [N, side * side * C] as features [N, C, side, side].

    Channels last by construction: it is read as [N, H, W, C].
    """
    return rows.view(len(rows), side, side, -1).permute(0, 3, 1, 2)


def start_small(network: nn.Module) -> None:
    """Weights from N(0, 0.02), batch norm's scale from N(1, 0.02) (Radford et al. 2015, 4.)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)


def start_glorot(network: nn.Module) -> None:
    """Weights after Glorot and Bengio 2010, eq. 16 (Xavier), and no bias."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
