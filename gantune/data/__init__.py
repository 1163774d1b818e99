"""Real images from many sources as ``ImageSet``. Only ``device_images`` imports torch."""

from gantune.data.cache import cache_folder, cache_remedy
from gantune.data.changes import image_changes
from gantune.data.decoding import Progress
from gantune.data.image_set import ImageSet
from gantune.data.load import (
    check_conditional,
    check_number,
    load_held_out,
    load_images,
    load_parts,
    resolve_data,
    resolved,
    resolved_data,
    unused_classes,
)
from gantune.data.samples import load_samples

__all__ = [
    "ImageSet",
    "Progress",
    "cache_folder",
    "cache_remedy",
    "check_conditional",
    "check_number",
    "image_changes",
    "load_held_out",
    "load_images",
    "load_parts",
    "load_samples",
    "resolve_data",
    "resolved",
    "resolved_data",
    "unused_classes",
]
