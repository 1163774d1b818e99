"""A classifier trained on the labelled images at hand, and whether it is good enough."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.scores.classifier import Schedule, accuracy, fit
from gantune.scores.features import Extractor, resized

__all__ = ["LEAST_SKILL", "skill_bound", "train_own_classifier"]

LEAST_SKILL = 0.5
"""Least skill of a classifier whose features are to be a yardstick: 0 is always naming the
commonest class, 1 is no mistake. Below one half, what it does not see outweighs what it sees."""

_CONFIDENCE = 1.96  # standard deviations: 95%, two-sided
_FEATURES = 64
_PASSES = 80_000  # images of 32 pixels shown in training: some 10 seconds on one thread
_EPOCHS = 3
_MOST_HELD_OUT = 2_000
_FEWEST_PER_CLASS = 20


def train_own_classifier(images: ImageSet) -> Extractor:
    """Trains on four fifths of the images or more, and measures its accuracy on others.

    Raises ``ScoreError`` where there are no classes to learn, or fewer than 20 images a class, and
    where the skill that is certain of it (``skill_bound``) is below ``LEAST_SKILL``.
    """
    labels = _labels(images)
    size = 32 if images.resolution <= 32 else 64
    passes = _PASSES * (32 / size) ** 2
    order = np.random.default_rng(0).permutation(len(images))
    held_out = min(_MOST_HELD_OUT, len(images) // 5)
    test, train = order[:held_out], order[held_out : held_out + int(passes / _EPOCHS)]
    schedule = Schedule(epochs=min(20, round(passes / len(train))))
    network = fit(
        _inputs(images, train, size),
        torch.from_numpy(labels[train]),
        len(images.classes),
        _FEATURES,
        schedule,
    )
    reached = accuracy(network, _inputs(images, test, size), torch.from_numpy(labels[test]))
    commonest = float(np.bincount(labels[test]).max()) / held_out
    if skill_bound(reached, held_out, commonest) < LEAST_SKILL:
        raise ScoreError(_too_weak(reached, held_out, commonest))
    why = (
        f"trained on {len(train)} of the labelled images, {reached:.1%} right on {held_out} others"
    )
    return Extractor("classifier", network, why, images.classes, reached)


def skill_bound(accuracy: float, count: int, commonest: float) -> float:
    """The skill that ``accuracy`` on ``count`` images makes certain, at most 1.

    The lower end of Wilson's 95% interval (Wilson 1927), from ``commonest``, the share of the
    commonest class, as 0 to no mistake as 1. So a few lucky images prove nothing.
    """
    return (_lower_end(accuracy, count) - commonest) / max(1 - commonest, 1e-9)


def _lower_end(share: float, count: int) -> float:
    """Of Wilson's interval for a share that was seen in ``count`` cases."""
    z2 = _CONFIDENCE**2
    spread = _CONFIDENCE * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return (share + z2 / (2 * count) - spread) / (1 + z2 / count)


def _too_weak(reached: float, held_out: int, commonest: float) -> str:
    bound = _lower_end(reached, held_out)
    needed = commonest + LEAST_SKILL * (1 - commonest)
    return (
        f"a small classifier got {reached:.1%} of {held_out} held-out images right, {bound:.1%} "
        f"for certain, and {needed:.1%} is needed of a yardstick"
    )


def _labels(images: ImageSet) -> NDArray[np.int64]:
    if images.labels is None:
        raise ScoreError("the images have no labels")
    present, counts = np.unique(images.labels, return_counts=True)
    if len(present) < 2:
        raise ScoreError("all images have one label")
    if counts.mean() < _FEWEST_PER_CLASS:
        raise ScoreError(
            f"{len(present)} classes share {len(images)} images, "
            f"fewer than {_FEWEST_PER_CLASS} a class"
        )
    return images.labels


def _inputs(images: ImageSet, index: NDArray[np.int64], size: int) -> Tensor:
    """The chosen images as uint8 [n, C, size, size]."""
    parts = np.array_split(index, -(-len(index) // 500))
    channels = images.array.shape[1]
    return torch.cat([resized(torch.from_numpy(images.array[p]), channels, size) for p in parts])
