"""In words, how the images of now differ from those that a run began with."""

from collections.abc import Mapping
from typing import Any

from gantune.data.image_set import ImageSet
from gantune.io.formatting import first_names

_NAMED = 5  # classes


def image_changes(began: Mapping[str, Any], now: ImageSet) -> str:
    """What differs; empty if the content is the same, at whatever place.

    ``began``: as ``ImageSet.summary`` gives it.
    """
    if began["content_hash"] == now.content_hash:
        return ""
    changes = []
    if began["images"] != len(now):
        changes.append(f"{began['images']:,} images then, {len(now):,} now")
    before, after = began["classes"], now.class_sizes
    gone = [name for name in before if name not in after]
    new = [name for name in after if name not in before]
    if gone or new:
        changes.append(f"classes then: {_list(before)}; now: {_list(after)}")
        if len(before) == len(after) and began["images"] == len(now):
            changes.append(f"rename them back if only names differ ({_list(new)} to {_list(gone)})")
    else:
        sizes = [name for name in before if before[name] != after[name]]
        changes += [
            f"class {name}: {before[name]:,} images then, {after[name]:,} now"
            for name in sizes[:_NAMED]
        ]
        if len(sizes) > _NAMED:
            changes.append(f"{len(sizes) - _NAMED:,} more classes")
    if not changes:
        changes.append(
            "as many images of the same classes, but other pixels: files were changed, or their "
            "resolution, colour or order"
        )
    return "; ".join(changes)


def _list(classes: Mapping[str, int] | list[str]) -> str:
    return first_names(list(classes), _NAMED) or "none"
