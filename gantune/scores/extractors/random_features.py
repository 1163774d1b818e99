"""Fixed random features: convolutions for images without classes, and waves for points."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantune.scores.features import FeatureNetwork, to_input

_SEED = 20_170_627
_WIDTHS = (16, 32, 32)
_LAYOUT = 4  # pixels
_LARGEST = 64  # pixels; above it a score would cost more than training
_POINTS_SEED = 20_070_103
_FREQUENCIES = 64
_LONGEST, _SHORTEST = 1.0, 0.1  # wavelengths in the plane's unit; the data are in about [-1, 1]


class RandomFeatures(FeatureNetwork):
    """Three strided convolutions with random weights from a fixed seed, never trained.

    The features are the mean and the standard deviation of each channel over the image; the last
    layer gives the means of its four quarters. The image itself at 4x4 pixels is added, because
    convolutions see texture and miss exchanged parts of an image. ``size``: that of the images, at
    most 64 pixels. The weights come from the CPU's generator, so their hash is the same everywhere.
    Saxe et al. 2011 show that random convolutions distinguish images.
    """

    kind = "random"

    def __init__(self, channels: int, size: int) -> None:
        size = min(size, _LARGEST)
        count = 2 * sum(_WIDTHS[:-1]) + 5 * _WIDTHS[-1] + channels * _LAYOUT**2
        colour = "gray" if channels == 1 else "rgb"
        resize = f"{size} {colour}, bilinear, antialiased"
        super().__init__({"channels": channels, "size": size}, count, resize)
        self.channels, self.size = channels, size
        generator = torch.Generator().manual_seed(_SEED)
        layers, inputs = [], channels
        for outputs in _WIDTHS:
            layer = nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False)
            scale = math.sqrt(2 / (9 * inputs))  # He et al. 2015, eq. 10: keeps the variance
            layer.weight.data = torch.randn(layer.weight.shape, generator=generator) * scale
            layers.append(layer)
            inputs = outputs
        self.layers = nn.ModuleList(layers)

    def forward(self, images: Tensor) -> Tensor:
        x = to_input(images, self.channels, self.size)
        x = x.contiguous(memory_format=torch.channels_last)
        found = [F.adaptive_avg_pool2d(x, _LAYOUT).flatten(1)]
        for layer in self.layers:
            x = F.relu(layer(x))
            spread, mean = torch.std_mean(x, dim=(2, 3), correction=0)
            found += [spread, mean]
        found[-1] = F.adaptive_avg_pool2d(x, 2).flatten(1)
        return torch.cat(found, dim=1)


class PointFeatures(FeatureNetwork):
    """Random Fourier features (Rahimi and Recht 2007) beside the two coordinates.

    Coordinates alone only give a mean and a covariance, which a ring and a blob can share. Waves
    with length scales from 1 down to 0.1 distinguish them, also for modes at a distance of 0.4.
    ``modes``: the number of centres, 0 where the points have no labels. Each point belongs to the
    nearest centre.
    """

    kind = "points-fourier"

    def __init__(self, modes: int) -> None:
        super().__init__({"modes": modes}, 2 + 2 * _FREQUENCIES, "none")
        generator = torch.Generator().manual_seed(_POINTS_SEED)
        steps = torch.arange(_FREQUENCIES) / (_FREQUENCIES - 1)
        scales = _LONGEST * (_SHORTEST / _LONGEST) ** steps
        waves = torch.randn(2, _FREQUENCIES, generator=generator) / scales
        self.waves: Tensor
        self.centres: Tensor
        self.register_buffer("waves", waves)
        self.register_buffer("centres", torch.zeros(modes, 2))

    def forward(self, images: Tensor) -> Tensor:
        phases = images @ self.waves
        return torch.cat([images, phases.cos(), phases.sin()], dim=1)

    def classify(self, features: Tensor) -> Tensor | None:
        if not len(self.centres):
            return None
        return torch.cdist(features[:, :2], self.centres).argmin(dim=1)
