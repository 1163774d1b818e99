"""Samples of a generator, and grids of them as PNG."""

import io
import math
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn

from gantune.errors import ScoreError
from gantune.gan.precision import float32_computed
from gantune.io.files import write_bytes

_BATCH = 256  # images in the network at once


@torch.inference_mode()
@float32_computed("ieee")
def sample_images(
    generator: nn.Module, number: int, random: torch.Generator, labels: Tensor | None = None
) -> Tensor:
    """Images uint8 [number, C, H, W] of a generator in eval mode; points float32 [number, 2].

    ``random``, on the generator's device, draws the latents and, for a conditional generator, the
    classes with their shares in the data, unless ``labels`` int64 [number] is given. Computed in
    full fp32 whatever the precision of training, so that scores are those of the saved weights.
    Waits for the device once. Raises ``ScoreError`` where a value is not finite, which would become
    black.
    """
    # All latents at once, so that they do not depend on the batch size.
    z = torch.randn(number, cast(int, generator.latent), generator=random, device=random.device)
    if labels is None and getattr(generator, "classes", False):
        shares = cast(Tensor, generator.label_shares)
        labels = torch.multinomial(shares, number, replacement=True, generator=random)
    if labels is None:
        images = torch.cat([generator(part) for part in torch.split(z, _BATCH)])
    else:
        parts = zip(torch.split(z, _BATCH), torch.split(labels, _BATCH), strict=True)
        images = torch.cat([generator(*part) for part in parts])
    if not images.isfinite().all():
        raise ScoreError("the generator gives values that are not numbers")
    if images.ndim == 2:
        return images
    return images.mul_(127.5).add_(128).clamp_(0, 255).to(torch.uint8)


# ---- Grids --------------------------------------------------------------------------------------


GRAY = 64
"""Level of the gaps, and of empty tiles."""
GAP = 2
"""Pixels between images."""
_MIN_TILE = 64  # pixels: smaller images are magnified, at most four times
_SCATTER = 512  # side of the scatter plot, pixels
_EXTENT = 1.25  # coordinate at its edge; the data lies in about [-1, 1]


def save_grid(images: Tensor, path: Path | str, columns: int | None = None) -> None:
    """Writes uint8 images [N, C, H, W] as a grid in a PNG; points [N, 2] as a scatter plot.

    ``columns``: images per row; by default the grid is about square. Images under 64 pixels are
    magnified two to four times. Raises ``ValueError`` where there is nothing to draw, ``OSError``
    where the file cannot be written.
    """
    if len(images) == 0:
        raise ValueError("no images to draw")
    array = images.detach().cpu().numpy()
    picture = _scatter(array) if array.ndim == 2 else _tiles(array, columns)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    write_bytes(path, buffer.getbuffer())


def magnification(side: int) -> int:
    """The factor by which images of this side are magnified."""
    return min(4, max(1, _MIN_TILE // side))


def _tiles(images: NDArray[np.uint8], columns: int | None) -> NDArray[np.uint8]:
    """Pixels [height, width] or [height, width, 3]; gray where images are missing."""
    times = magnification(images.shape[2])
    images = images.repeat(times, axis=2).repeat(times, axis=3)
    count, channels, height, width = images.shape
    columns = min(columns or math.ceil(math.sqrt(count)), count)
    rows = math.ceil(count / columns)
    sheet = np.full((rows * columns, channels, height + GAP, width + GAP), GRAY, np.uint8)
    sheet[:count, :, GAP:, GAP:] = images
    sheet = sheet.reshape(rows, columns, *sheet.shape[1:]).transpose(0, 3, 1, 4, 2)
    picture = sheet.reshape(rows * (height + GAP), columns * (width + GAP), channels)
    picture = np.pad(picture, ((0, GAP), (0, GAP), (0, 0)), constant_values=GRAY)
    return picture[:, :, 0] if channels == 1 else picture


def _scatter(points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Dark dots of 3x3 pixels on white, y upwards; points outside are left out."""
    picture = np.full((_SCATTER, _SCATTER), 255, np.uint8)
    inside = points[np.abs(points).max(axis=1) < _EXTENT]  # NaN compares false
    column, row = ((inside * [1, -1] / _EXTENT + 1) / 2 * _SCATTER).astype(int).T
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            to_row = np.clip(row + down, 0, _SCATTER - 1)
            picture[to_row, np.clip(column + across, 0, _SCATTER - 1)] = 40
    return picture
