"""The real images of one run: those that are learned, and those that only scores look at."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gantune.config import DataConfig
from gantune.data import Progress, load_held_out, load_images

if TYPE_CHECKING:
    from gantune.scores import RealImages

__all__ = ["load_real_images"]


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
