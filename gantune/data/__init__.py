"""Real images from many sources, brought to one form. ``device.py`` alone needs torch."""

from __future__ import annotations

from gantune.data.cache import cache_folder
from gantune.data.image_set import ImageSet
from gantune.data.labels import check_conditional
from gantune.data.load import load_images, resolve_data, settled
from gantune.data.prepare import Progress

__all__ = [
    "ImageSet",
    "Progress",
    "cache_folder",
    "check_conditional",
    "load_images",
    "resolve_data",
    "settled",
]
