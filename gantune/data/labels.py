"""Whether the images have the labels that a config counts on."""

from __future__ import annotations

from typing import Literal

from gantune.config import DataConfig
from gantune.data.image_set import ImageSet
from gantune.errors import DataError

__all__ = ["check_classes", "check_conditional"]


def check_classes(config: DataConfig, images: ImageSet) -> None:
    """Raises ``DataError`` where ``data.classes`` is not the source's own number."""
    if config.classes not in ("auto", images.class_count):
        raise DataError(
            f"data.classes: {config.classes}, but {images.source!r} has {_counted(images)}; "
            "leave it out, or set it to auto"
        )


def check_conditional(conditional: Literal["auto"] | bool, images: ImageSet) -> None:
    """Raises ``DataError`` where ``network.conditional`` asks for labels that are not there."""
    if conditional is True and images.class_count == 0:
        raise DataError(
            f"network.conditional: true, but {images.source!r} has no labels; give labelled data "
            "(a folder for each class, labels beside the array), or set network.conditional false "
            "or auto"
        )


def _counted(images: ImageSet) -> str:
    return f"{images.class_count} classes" if images.class_count else "no labels (0 classes)"
