"""``save_grid``: samples as one picture that a person can look at."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from gantune.io.files import write_bytes

if TYPE_CHECKING:
    from torch import Tensor  # whoever only looks at grids does not wait for torch

__all__ = ["GAP", "GRAY", "magnification", "save_grid"]

GRAY = 64
"""Level of the gaps, and of tiles that hold no image."""

GAP = 2
"""Pixels between images."""

_READABLE = 64  # pixels: smaller images are shown larger, at most four times
_SCATTER = 512  # side of the picture of points, pixels
_EXTENT = 1.25  # coordinate at its edge; the data lies in about [-1, 1]


def save_grid(images: Tensor, path: Path | str, columns: int | None = None) -> None:
    """Writes uint8 images [N, C, H, W] side by side as a PNG; points [N, 2] as a scatter picture.

    ``columns``: images a row, by default as many as make the grid about square. Images under 64
    pixels are magnified two to four times, pixel by pixel. Raises ``ValueError`` where there is
    nothing to draw, ``OSError`` where it cannot be written.
    """
    if len(images) == 0:
        raise ValueError("no images to draw")
    array = images.detach().cpu().numpy()
    picture = _scatter(array) if array.ndim == 2 else _tiles(array, columns)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    write_bytes(path, buffer.getbuffer())


def magnification(side: int) -> int:
    """How many pixels stand for one of an image of this side, to either direction."""
    return min(4, max(1, _READABLE // side))


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
    """Dark dots of 3x3 pixels on white, y upwards; points beyond the picture are left out."""
    picture = np.full((_SCATTER, _SCATTER), 255, np.uint8)
    inside = points[np.abs(points).max(axis=1) < _EXTENT]  # NaN compares false
    column, row = ((inside * [1, -1] / _EXTENT + 1) / 2 * _SCATTER).astype(int).T
    for across in (-1, 0, 1):
        for down in (-1, 0, 1):
            to_row = np.clip(row + down, 0, _SCATTER - 1)
            picture[to_row, np.clip(column + across, 0, _SCATTER - 1)] = 40
    return picture
