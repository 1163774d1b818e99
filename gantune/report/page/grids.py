"""How sample grids are laid out, and grids made small without blurring their images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gantune.gan.sampling import GAP, GRAY, magnification

if TYPE_CHECKING:
    from PIL.Image import Image

    from gantune.report.run import Run

__all__ = ["Layout", "layout_of"]

_FEWEST, _MOST = 4, 8  # images a row that a small grid keeps; the runs' grids have eight


@dataclass(frozen=True)
class Layout:
    """Where images lie in a grid that ``save_grid`` wrote."""

    side: int
    """Of one image as it was made, pixels."""

    @property
    def tile(self) -> int:
        """Of one image in the picture, its gap included."""
        return self.side * magnification(self.side) + GAP

    def columns(self, most: int) -> int:
        """How many of a row a picture of ``most`` pixels shows."""
        return min(max(most // (self.side + 1), _FEWEST), _MOST)

    def small(self, picture: Image, most: int) -> Image:
        """The grid's first rows and columns at the images' own size, some ``most`` pixels wide."""
        import numpy as np
        from PIL import Image as images

        times, keeps = magnification(self.side), self.columns(most)
        rows, columns = ((length - GAP) // self.tile for length in picture.size[::-1])
        if rows < 1 or columns < 1:
            return picture
        pixels = np.asarray(picture)[GAP : GAP + rows * self.tile, GAP : GAP + columns * self.tile]
        tiles = pixels.reshape(rows, self.tile, columns, self.tile, 3)
        kept = tiles[:keeps, : self.side * times : times, :keeps, : self.side * times : times]
        gaps = ((0, 0), (0, 1), (0, 0), (0, 1), (0, 0))
        sheet = np.pad(kept, gaps, constant_values=GRAY)
        height, width = (sheet.shape[k] * sheet.shape[k + 1] for k in (0, 2))
        return images.fromarray(sheet.reshape(height, width, 3))


def layout_of(run: Run) -> Layout | None:
    """Of the run's grids; ``None`` where the images' size is not known, and of points."""
    protocol = run.state.rung_protocol
    return Layout(protocol.resolution) if protocol is not None and protocol.resolution else None
