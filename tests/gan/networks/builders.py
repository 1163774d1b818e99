"""Every architecture, as small as it goes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gantune.config import RESOLUTIONS, TrialConfig, make_config
from tests.gan.builders import RING

CLASSES = 3
LATENT = 8
SIZES = [(name, size) for name, sizes in RESOLUTIONS.items() for size in sizes or (0,)]
SMALLEST = {name: min(sizes or (0,)) for name, sizes in RESOLUTIONS.items()}


def make(
    name: str, size: int | None = None, colour: str = "gray", /, **settings: Any
) -> TrialConfig:
    """A config of the network of width 4; ``conditional``, ``width`` and ``latent`` are its own.

    Points have no size: ``mlp``'s is 0.
    """
    side = SMALLEST[name] if size is None else size
    data = {"resolution": side, "colour": colour} if side else {"source": RING}
    network = {"name": name, "width": 4, "latent": LATENT}
    network |= {k: settings.pop(k) for k in ("conditional", "width", "latent") if k in settings}
    return make_config({"data": {**data, "classes": CLASSES}, "network": network, **settings})


def images_of(config: TrialConfig, number: int = 4) -> Tensor:
    """Random images, or points, of the config's shape."""
    side = config.data.resolution
    if config.data.is_points:
        return torch.randn(number, 2)
    assert isinstance(side, int)
    return torch.randn(number, 1 if config.data.colour == "gray" else 3, side, side)


def labels_of(config: TrialConfig, number: int = 4) -> Tensor | None:
    """Labels 0, 1, 2, 0 and so on, for a conditional network."""
    return torch.arange(number) % CLASSES if config.network.conditional else None


def count(network: nn.Module) -> int:
    """Parameters that are learned."""
    return sum(parameter.numel() for parameter in network.parameters())
