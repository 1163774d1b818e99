"""Sample grids as small WebP pictures, within a number of bytes for the whole page."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

from gantune.gan.sampling import GAP, GRAY, magnification
from gantune.report.run_data import RunData

if TYPE_CHECKING:
    from PIL.Image import Image


Picture = tuple[float, str]
"""Kimg, and the WebP in base64."""

SIDE = 272
"""Pixels of a small picture."""

_MOST_PICTURES = 1200  # on a page: encoding one takes some ten milliseconds
_FEW = 300  # trials, up to which the pictures may take _FEW_BYTES together
_FEW_BYTES, _MANY_BYTES = 4_200_000, 12_000_000
_THREADS = 4
_BEST = 10  # trials that keep all their pictures
_LARGE = 1100  # pixels of a large picture
_QUALITIES = (70, 45, 30)  # of WebP, tried in order
_NARROWEST = 64  # pixels
_SMALLEST, _LARGEST = 1500, 12_000  # bytes: a limit that any picture gets, and that none exceeds
_FEWEST_COLUMNS, _MOST_COLUMNS = 4, 8  # of a small grid; the grids of runs have eight


def thumbnails(run: RunData, best: Sequence[str]) -> Mapping[str, Sequence[Picture]]:
    """Small pictures of every run that has sample grids, by its folder's name, in order of kimg.

    ``best``: names of the runs that keep all of theirs. Other runs keep their last ones, as many as
    the page holds.
    """
    state = run.state
    records = (*state.trials, *state.finalists)
    grids = {r.name: list(run.folder.trial(r.name).grids().items()) for r in records}
    grids = {name: found for name, found in grids.items() if found}
    share = max(_MOST_PICTURES // max(len(grids), 1), 1)
    chosen = {
        name: found if name in best[:_BEST] else _last(found, share)
        for name, found in grids.items()
    }
    total = sum(map(len, chosen.values()))
    room = _FEW_BYTES if len(state.trials) <= _FEW else _MANY_BYTES
    limit = min(max(room // max(total, 1), _SMALLEST), _LARGEST)
    side = image_side(run)
    paths = [path for found in chosen.values() for _, path in found]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:  # Pillow releases the GIL
        made = dict(zip(paths, pool.map(lambda p: _small(p, side, limit), paths), strict=True))
    return {
        name: [(kimg, small) for kimg, path in found if (small := made[path])]
        for name, found in chosen.items()
    }


def large_picture(path: Path) -> str | None:
    """A picture as a data URL, large; ``None`` where there is none or it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except OSError:
        return None
    image.thumbnail((_LARGE, _LARGE))
    return f"data:image/webp;base64,{_encoded(image, 82)}"


def _last(grids: list[tuple[float, Path]], most: int) -> list[tuple[float, Path]]:
    """The last grid, and others evenly spaced before it."""
    if len(grids) <= most:
        return grids
    step = len(grids) / most
    return [grids[-1 - round(k * step)] for k in range(most)][::-1]


def _small(path: Path, grid_side: int | None, limit: int) -> str | None:
    """A picture of at most ``limit`` bytes, if some quality allows it."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except OSError:  # being written, or damaged
        return None
    image = shrink_grid(image, grid_side) if grid_side is not None else image
    image.thumbnail((SIDE, SIDE))
    found = _encoded(image, _QUALITIES[0])
    for quality in _QUALITIES[1:]:
        part = limit / (len(found) * 3 // 4)
        if part >= 1:
            break
        side = max(int(image.width * math.sqrt(part)), _NARROWEST)
        found = _encoded(image.resize((side, side * image.height // image.width)), quality)
    return found


def _encoded(image: Image, quality: int) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=quality, method=0)
    return base64.b64encode(buffer.getvalue()).decode()


def image_side(run: RunData) -> int | None:
    """Pixels of one image in the run's grids; ``None`` for points and where it is unknown."""
    protocol = run.state.rung_protocol
    return (protocol.resolution or None) if protocol is not None else None


def small_columns(side: int) -> int:
    """How many images of a row a small picture has."""
    return min(max(SIDE // (side + 1), _FEWEST_COLUMNS), _MOST_COLUMNS)


def shrink_grid(picture: Image, side: int) -> Image:
    """The first rows and columns of a grid that ``save_grid`` wrote, unblurred.

    ``side``: of one image, which is shown at its own size.
    """
    import numpy as np
    from PIL import Image as images

    times, most = magnification(side), small_columns(side)
    tile = side * times + GAP
    rows, columns = ((length - GAP) // tile for length in picture.size[::-1])
    if rows < 1 or columns < 1:
        return picture
    pixels = np.asarray(picture)[GAP : GAP + rows * tile, GAP : GAP + columns * tile]
    tiles = pixels.reshape(rows, tile, columns, tile, 3)
    shown = tiles[:most, : side * times : times, :most, : side * times : times]
    gaps = ((0, 0), (0, 1), (0, 0), (0, 1), (0, 0))
    sheet = np.pad(shown, gaps, constant_values=GRAY)
    height, width = (sheet.shape[k] * sheet.shape[k + 1] for k in (0, 2))
    return images.fromarray(sheet.reshape(height, width, 3))
