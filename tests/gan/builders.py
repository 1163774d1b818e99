"""Tiny runs for the tests of this room."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from gantune.config import TrialConfig, make_config
from gantune.data.image_set import ImageSet

RING = "gaussians:ring"


def config_of(network: str = "dcgan", /, **settings: Any) -> TrialConfig:
    """A config for images of 16 (28) pixels, or for points, of the smallest networks."""
    side = {"dcgan": 16, "dcgan28": 28, "resnet": 32, "r3gan": 32, "mlp": 0}[network]
    data = {"source": RING} if network == "mlp" else {"resolution": side, "colour": "gray"}
    tree = {
        "data": data,
        "kimg": 0.12,
        "tick_kimg": 0.04,
        "network": {"name": network, "width": 4, "latent": 8},
        "batch_size": 8,
        "precision": "fp32",
    }
    return make_config({**tree, **settings})


def images_for(config: TrialConfig, count: int = 30) -> ImageSet:
    """Images of noise, or points on a ring, as ``config`` wants them, of as many classes."""
    random = np.random.default_rng(0)
    if config.data.is_points:
        angles = random.integers(0, 8, count) * np.pi / 4
        points = np.stack([np.cos(angles), np.sin(angles)], 1) * 0.7
        points += random.normal(0, 0.02, (count, 2))
        return ImageSet(points.astype(np.float32), config.data.source, "ring")
    side, classes = config.data.resolution, config.data.classes
    assert isinstance(side, int)
    channels = 1 if config.data.colour == "gray" else 3
    array = random.integers(0, 256, (count, channels, side, side), dtype=np.uint8)
    if classes == 0 or classes == "auto":
        return ImageSet(array, "noise", "noise")
    labels = random.choice(
        classes, count, p=np.arange(1, classes + 1) / (classes * (classes + 1) / 2)
    )
    names = tuple(map(str, range(classes)))
    return ImageSet(array, "noise", "noise", labels=labels.astype(np.int64), classes=names)


def assert_same_state(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    """Two states of a trainer, equal to the last bit but for the seconds they took."""
    assert one["device"] == other["device"]
    ours, theirs = ({**state, "device": 0, "seconds": 0} for state in (one, other))
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0, equal_nan=True)
