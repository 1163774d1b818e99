"""The embedded digits in two halves, and small sets of made-up images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gantune.config import DataConfig
from gantune.data import ImageSet, load_images
from gantune.scores import Evaluator, RealImages, make_protocols, resolve_extractor
from gantune.scores.evaluator import Sample

Shown = Callable[[torch.Tensor], Sample]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def digits() -> ImageSet:
    return load_images(DataConfig(source="digits", resolution=32))


@pytest.fixture(scope="session")
def learned(digits: ImageSet) -> ImageSet:
    return part_of(digits, slice(0, 900))


@pytest.fixture(scope="session")
def others(digits: ImageSet) -> ImageSet:
    return part_of(digits, slice(900, 1797))


def part_of(images: ImageSet, part: slice) -> ImageSet:
    assert images.labels is not None
    return replace(
        images,
        array=images.array[part],
        labels=images.labels[part],
        content_hash=f"{images.content_hash}{part}",
    )


def shown(images: torch.Tensor) -> Sample:
    """A generator that gives these images in turn, again and again."""
    place = 0

    def sample(number: int, generator: torch.Generator) -> torch.Tensor:
        nonlocal place
        index = torch.arange(place, place + number) % len(images)
        place += number
        return images[index]

    return sample


def made_up(
    number: int = 60, classes: int = 0, side: int = 16, channels: int = 1, seed: int = 0
) -> ImageSet:
    """Noise whose brightness tells its class."""
    rng = np.random.default_rng(seed)
    labels = np.arange(number) % classes if classes else None
    array = rng.integers(0, 56, (number, channels, side, side))
    if labels is not None:
        array += (labels * (200 // classes))[:, None, None, None]
    return ImageSet(
        array=array.astype(np.uint8),
        source="made-up",
        content_hash=f"{number} {classes} {side} {channels} {seed}",
        labels=labels,
        classes=tuple(f"class {i}" for i in range(classes)),
    )


def evaluator(
    images: ImageSet,
    folder: Path,
    name: str = "auto",
    samples: int = 897,
    held_out: ImageSet | None = None,
) -> Evaluator:
    extractor = resolve_extractor(name, images, folder)
    real = RealImages(images, held_out)
    return Evaluator(
        extractor, real, make_protocols(extractor, real, rung_samples=samples, samples=samples)
    )
