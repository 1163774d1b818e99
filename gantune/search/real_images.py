"""The real images of one run: those that are learned, and those that only scores look at."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gantune.config import DataConfig
from gantune.data import ImageSet, Progress, load_held_out, load_images

if TYPE_CHECKING:
    from gantune.scores import RealImages

__all__ = ["draw_real_images", "load_real_images"]

_SHOWN = 64  # images of the picture
_SHOWN_POINTS = 2000


def load_real_images(
    config: DataConfig, sizes: Sequence[int] | None = None, progress: Progress | None = None
) -> RealImages:
    """What ``load_images`` gives, and the images that ``config.held_out`` keeps out of it.

    Both have one resolution and colour. ``sizes``, ``progress`` and errors as in ``load_images``.
    """
    from gantune.scores import RealImages

    learned = load_images(config, sizes, progress)
    form = {"resolution": learned.resolution, "colour": learned.colour}
    return RealImages(learned, load_held_out(config.model_copy(update=form), progress))


def draw_real_images(images: ImageSet, path: Path) -> None:
    """Writes a picture of images from all over the set, where there is none yet."""
    if path.exists():
        return
    import numpy as np
    import torch

    from gantune.gan.sampling import save_grid

    most = _SHOWN_POINTS if images.is_points else _SHOWN
    places = np.linspace(0, len(images) - 1, min(most, len(images))).round().astype(int)
    save_grid(torch.from_numpy(np.ascontiguousarray(images.array[places])), path)
