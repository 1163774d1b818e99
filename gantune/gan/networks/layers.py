"""What the architectures share: the shape of an image, D's normalisation, the initial weights."""

from __future__ import annotations

from typing import Literal, NamedTuple

from torch import Tensor, nn
from torch.nn.functional import fold

__all__ = ["Norm", "Shape", "ToImage", "layer", "start_small"]

Norm = Literal["none", "batch", "spectral"]


class Shape(NamedTuple):
    """One image: its channels (2 coordinates for points) and its side in pixels (0 for points)."""

    channels: int
    resolution: int


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


def layer(weights: nn.Conv2d | nn.Linear, norm: Norm) -> list[nn.Module]:
    """A layer of D without its activation, with batch norm behind it where ``norm`` says so."""
    if norm != "batch":
        return [weights]
    if isinstance(weights, nn.Linear):
        return [weights, nn.BatchNorm1d(weights.out_features)]
    return [weights, nn.BatchNorm2d(weights.out_channels)]


def start_small(network: nn.Module) -> None:
    """Weights from N(0, 0.02), batch norm's scale from N(1, 0.02) (Radford et al. 2015, 4.)."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            nn.init.normal_(module.weight, 0.0, 0.02)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight, 1.0, 0.02)
            nn.init.zeros_(module.bias)
