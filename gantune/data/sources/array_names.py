"""What arrays of an ``.npz`` file are for, by their names: parts, images, labels, class names."""

import re
from collections.abc import Collection, Mapping

from gantune.data.sources.folder_names import PARTS

_PARTS = {**PARTS, "tr": "train", "te": "test"}
_IMAGES = ("x", "images", "image", "imgs", "img", "data", "pixels", "samples", "inputs")
_LABELS = ("y", "labels", "label", "targets", "target")
_NAMES = ("names", "name", "classes", "categories")


def image_parts(candidates: Collection[str]) -> dict[str, str]:
    """The array of each part, of those that look like images; empty where names do not tell.

    ``x_train`` and ``x_test``, ``train_images`` and ``test_images``, or only one of them.
    """
    groups: dict[tuple[str, ...], dict[str, str]] = {}
    for name in candidates:
        part, rest = _split(name)
        if all(word in _IMAGES for word in rest):
            groups.setdefault(rest, {}).setdefault(part or "train", name)
    told = [group for group in groups.values() if len(group) > 1]
    if len(candidates) == 1:
        told = [group for group in groups.values() if "train" not in group]
    return told[0] if len(told) == 1 else {}


def labels_of(images: str, others: Collection[str], of_others: bool = True) -> list[str]:
    """Which of the other arrays may be the labels of the array ``images``; the first is the best.

    Several have the same claim where the first is called neither like the images nor simply
    ``labels``. ``of_others``: whether names of other subjects count where there is none else.
    """
    part, rest = _split(images)
    subject = [word for word in rest if word not in _IMAGES]
    own: list[str] = []
    plain: list[str] = []
    similar: list[str] = []
    for name in others:
        its_part, its_rest = _split(name)
        words = [word for word in its_rest if word not in _LABELS]
        if len(words) == len(its_rest) or set(words) & set(_NAMES):
            continue
        if (its_part or "train") == (part or "train"):
            about = [word for word in words if word not in _IMAGES]
            (own if about == subject else similar).append(name)
        elif its_part is None and not words:
            plain.append(name)
    if images == "arr_0" and "arr_1" in others:
        own.insert(0, "arr_1")
    best = sorted(own or plain, key=lambda name: _split(name)[0] is None)
    return best[:1] or (similar if of_others else [])


def names_of(labels: str, texts: Mapping[str, int], classes: int) -> list[str]:
    """Which arrays of text (with their lengths) may name that many classes of ``labels``."""
    named = [name for name in texts if set(_split(name)[1]) & set(_NAMES)]
    found = named or [name for name, length in texts.items() if length == classes]
    if len(found) > 1:
        subject = set(_split(labels)[1]) - set(_LABELS)
        of_labels = [name for name in found if subject and subject <= set(_split(name)[1])]
        found = of_labels or [name for name in found if texts[name] == classes]
    return found


def _split(name: str) -> tuple[str | None, tuple[str, ...]]:
    """The part that a name tells, and its other words, in lower case."""
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    words = re.findall(r"[a-z0-9]+", spaced.lower())
    if words and (joined := re.fullmatch(rf"([xy])({'|'.join(_PARTS)})", words[0])):
        words[:1] = joined.groups()
    part = next((word for word in words if word in _PARTS), None)
    rest = list(words)
    if part is not None:
        rest.remove(part)
    return (_PARTS[part] if part else None), tuple(rest)
