"""Which extractor suits which images."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.scores.choice import ExtractorChoice
from gantune.scores.classifier import Schedule, accuracy, fit
from gantune.scores.digits import load_digits_classifier
from gantune.scores.features import Extractor, resized
from gantune.scores.point_features import PointFeatures
from gantune.scores.random_features import RandomFeatures

__all__ = ["select"]

_FEATURES = 64
_PASSES = 30_000  # images of 32 pixels shown in training: some 10 seconds on one thread
_EPOCHS = 3
_MOST_HELD_OUT = 2_000
_FEWEST_PER_CLASS = 20
_LEAST_SKILL = 0.25  # of the way from always naming the commonest class to no mistake


def select(choice: ExtractorChoice, images: ImageSet, device: torch.device) -> Extractor:
    """The extractor that is asked for, on the CPU; ``device`` is where it will be used.

    Raises ``ScoreError``.
    """
    name = choice.name
    if (name == "points") != images.is_points and name != "auto":
        held = "points" if images.is_points else "images"
        raise ScoreError(
            f"objective: extractor: {name!r} does not suit {images.source!r}, which holds {held}; "
            f"take 'auto'{' or points' if images.is_points else ', classifier or random'}"
        )
    if images.is_points:
        return _points(images)
    if name == "random":
        return _random(images, "as asked for")
    lack = _lack(images)
    if name == "classifier" and lack:
        raise ScoreError(
            f"objective: extractor: 'classifier' cannot be had for {images.source!r}: {lack}; "
            "take 'random', or a folder with one subfolder for each class"
        )
    if lack:
        return _random(images, lack)
    if images.source == "digits":
        return load_digits_classifier("the data are the embedded digits, which it was trained on")
    return _trained(name, images)


def _lack(images: ImageSet) -> str:
    """What the images lack to train a classifier on them; empty if nothing."""
    if images.labels is None:
        return "the images have no labels"
    present, counts = np.unique(images.labels, return_counts=True)
    if len(present) < 2:
        return "all images have one label"
    if counts.mean() < _FEWEST_PER_CLASS:
        return (
            f"{len(present)} classes share {len(images)} images, "
            f"fewer than {_FEWEST_PER_CLASS} a class"
        )
    return ""


def _points(images: ImageSet) -> Extractor:
    module = PointFeatures(len(images.classes) if images.labels is not None else 0)
    if images.labels is not None:
        for mode in range(len(images.classes)):
            centre = images.array[images.labels == mode].mean(axis=0)
            module.centres[mode] = torch.from_numpy(centre)
    return Extractor(
        module.kind,
        module.eval(),
        "the data are points, compared by waves of many lengths",
        images.classes if images.labels is not None else (),
    )


def _random(images: ImageSet, why: str) -> Extractor:
    module = RandomFeatures(images.array.shape[1], images.resolution).eval()
    return Extractor("random", module, f"random convolutions of a fixed seed: {why}")


def _trained(name: str, images: ImageSet) -> Extractor:
    assert images.labels is not None
    size = 32 if images.resolution <= 32 else 64
    passes = _PASSES * (32 / size) ** 2
    order = np.random.default_rng(0).permutation(len(images))
    held_out = min(_MOST_HELD_OUT, len(images) // 5)
    test, train = order[:held_out], order[held_out : held_out + int(passes / _EPOCHS)]
    schedule = Schedule(epochs=min(20, round(passes / len(train))))
    network = fit(
        _inputs(images, train, size),
        torch.from_numpy(images.labels[train]),
        len(images.classes),
        _FEATURES,
        schedule,
    )
    reached = accuracy(network, _inputs(images, test, size), torch.from_numpy(images.labels[test]))
    commonest = np.bincount(images.labels[test]).max() / held_out
    if name == "auto" and reached - commonest < _LEAST_SKILL * (1 - commonest):
        return _random(images, f"a small classifier got only {reached:.0%} of the classes right")
    why = (
        f"trained on {len(train)} of the labelled images, {reached:.1%} right on {held_out} others"
    )
    return Extractor("classifier", network, why, images.classes, reached)


def _inputs(images: ImageSet, index: NDArray[np.int64], size: int) -> Tensor:
    """The chosen images as uint8 [n, C, size, size]."""
    parts = np.array_split(index, -(-len(index) // 500))
    channels = images.array.shape[1]
    return torch.cat([resized(torch.from_numpy(images.array[p]), channels, size) for p in parts])
