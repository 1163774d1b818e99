"""``Samples``: the pictures of samples that one run of training left along its way."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from gantune.run_folder.trial import TrialFolder

if TYPE_CHECKING:
    from PIL.Image import Image

__all__ = ["Samples"]

_SHOWN = 6  # pictures in a notebook, from the first to the last
_SIDE = 260  # pixels of each there


class Samples(Mapping[float, "Image"]):
    """Sample grids of one run by kimg, as PIL images that are read when they are asked for.

    In a notebook it shows them side by side. Empty for points without pictures, for a trainer of
    one's own, and before the first rung.
    """

    def __init__(self, folder: Path) -> None:
        self.paths = TrialFolder(folder).grids()
        """The files by kimg, in order."""

    def __getitem__(self, kimg: float) -> Image:
        from PIL import Image

        with Image.open(self.paths[kimg]) as file:
            return file.copy()

    def __iter__(self) -> Iterator[float]:
        return iter(self.paths)

    def __len__(self) -> int:
        return len(self.paths)

    def __repr__(self) -> str:
        places = ", ".join(f"{kimg:g}" for kimg in self.paths)
        return f"Samples(kimg: {places})" if self.paths else "Samples(none)"

    def _repr_html_(self) -> str:
        if not self.paths:
            return "<p>no sample grids</p>"
        return (
            '<div style="display:flex;gap:8px;flex-wrap:wrap">'
            + "".join(
                f'<figure style="margin:0"><img width="{_SIDE}" alt="samples at {kimg:g} kimg" '
                f'src="{_inline(self[kimg])}"><figcaption>{kimg:g} kimg</figcaption></figure>'
                for kimg in _spread(list(self.paths), _SHOWN)
            )
            + "</div>"
        )


def _spread(places: list[float], most: int) -> list[float]:
    """At most so many of them, the first and the last included."""
    if len(places) <= most:
        return places
    step = (len(places) - 1) / (most - 1)
    return [places[round(k * step)] for k in range(most)]


def _inline(image: Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
