"""Sample grids as small WebP pictures, within a number of bytes for the whole page."""

from __future__ import annotations

import base64
import io
import math
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
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
    grids = {record.name: run.folder.trial(record.name).grids() for record in records}
    grids = {name: found for name, found in grids.items() if found}
    complete = set(best[:_BEST])
    share = max(_MOST_PICTURES // max(len(grids), 1), 1)
    chosen = {
        name: list(found.items()) if name in complete else _last(list(found.items()), share)
        for name, found in grids.items()
    }
    total = sum(map(len, chosen.values()))
    room = _FEW_BYTES if len(state.trials) <= _FEW else _MANY_BYTES
    limit = min(max(room // max(total, 1), _SMALLEST), _LARGEST)
    layout = layout_of(run)
    paths = [path for found in chosen.values() for _, path in found]
    with ThreadPoolExecutor(min(os.cpu_count() or 1, _THREADS)) as pool:  # Pillow releases the GIL
        made = dict(zip(paths, pool.map(lambda p: _small(p, layout, limit), paths), strict=True))
    return {
        name: [(kimg, small) for kimg, path in found if (small := made[path])]
        for name, found in chosen.items()
    }


def large_picture(path: Path) -> str | None:
    """A whole picture as a data URL; ``None`` where there is none or it cannot be read."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except OSError:
        return None
    image.thumbnail((_LARGE, _LARGE))
    return inline(_encoded(image, 82))


def inline(picture: str) -> str:
    """A WebP in base64 as a data URL."""
    return f"data:image/webp;base64,{picture}"


def _last(grids: list[tuple[float, Path]], most: int) -> list[tuple[float, Path]]:
    """The last grid, and others evenly spaced before it."""
    if len(grids) <= most:
        return grids
    step = len(grids) / most
    return [grids[-1 - round(k * step)] for k in range(most)][::-1]


def _small(path: Path, layout: Layout | None, limit: int) -> str | None:
    """A picture of at most ``limit`` bytes, if some quality allows it."""
    from PIL import Image

    try:
        with Image.open(path) as file:
            image = file.convert("RGB")
    except OSError:  # being written, or damaged
        return None
    image = layout.small(image, SIDE) if layout is not None else image
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


@dataclass(frozen=True)
class Layout:
    """The layout of a grid that ``save_grid`` wrote; shrinks grids without blurring."""

    side: int
    """Pixels of one image at its own size."""

    @property
    def tile(self) -> int:
        """Pixels of one image in the grid, its gap included."""
        return self.side * magnification(self.side) + GAP

    def columns(self, most: int) -> int:
        """How many images of a row fit into ``most`` pixels."""
        return min(max(most // (self.side + 1), _FEWEST_COLUMNS), _MOST_COLUMNS)

    def small(self, picture: Image, most: int) -> Image:
        """The grid's first rows and columns at the images' own size, some ``most`` pixels wide."""
        import numpy as np
        from PIL import Image as images

        times, most_images = magnification(self.side), self.columns(most)
        rows, columns = ((length - GAP) // self.tile for length in picture.size[::-1])
        if rows < 1 or columns < 1:
            return picture
        pixels = np.asarray(picture)[GAP : GAP + rows * self.tile, GAP : GAP + columns * self.tile]
        tiles = pixels.reshape(rows, self.tile, columns, self.tile, 3)
        shown = tiles[
            :most_images, : self.side * times : times, :most_images, : self.side * times : times
        ]
        gaps = ((0, 0), (0, 1), (0, 0), (0, 1), (0, 0))
        sheet = np.pad(shown, gaps, constant_values=GRAY)
        height, width = (sheet.shape[k] * sheet.shape[k + 1] for k in (0, 2))
        return images.fromarray(sheet.reshape(height, width, 3))


def layout_of(run: RunData) -> Layout | None:
    """The layout of the run's grids; ``None`` for points and where the image size is unknown."""
    protocol = run.state.rung_protocol
    return Layout(protocol.resolution) if protocol is not None and protocol.resolution else None
