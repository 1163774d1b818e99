"""Networks whose input gradient is known by hand, and steps of them, all in double precision."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gantune.gan.penalties import PenaltyInputs
from gantune.gan.rng import BatchDraws


class Plane(nn.Module):
    """D(x) = a.x + 0.3, whose gradient is a everywhere."""

    def __init__(self, slope: list[float]) -> None:
        super().__init__()
        self.slope = nn.Parameter(torch.tensor(slope, dtype=torch.float64))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1) @ self.slope + 0.3


class Bowl(nn.Module):
    """D(x) = |x|^2 / 2, whose gradient is x."""

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1).square().sum(1) / 2


class TwoLayers(nn.Module):
    """D(x) = v.tanh(W x), whose gradient is W^T (v * (1 - tanh(W x)^2))."""

    def __init__(self, inputs: int = 4, hidden: int = 3) -> None:
        super().__init__()
        random = torch.Generator().manual_seed(1)
        self.inner = nn.Linear(inputs, hidden, bias=False, dtype=torch.float64)
        self.outer = nn.Linear(hidden, 1, bias=False, dtype=torch.float64)
        for layer in (self.inner, self.outer):
            nn.init.normal_(layer.weight, generator=random)

    def forward(self, images: Tensor) -> Tensor:
        hidden: Tensor = torch.tanh(self.inner(images.flatten(1)))
        return torch.flatten(self.outer(hidden))

    def gradient(self, images: Tensor) -> Tensor:
        """By hand, [N, inputs]."""
        w, v = self.inner.weight.detach(), self.outer.weight.detach().flatten()
        slope = 1 - torch.tanh(images.flatten(1) @ w.T).square()
        return (slope * v) @ w


def random_images(seed: int, shape: tuple[int, ...] = (5, 1, 2, 2)) -> Tensor:
    """Uniform in [-1, 1)."""
    random = torch.Generator().manual_seed(seed)
    return torch.rand(shape, generator=random, dtype=torch.float64) * 2 - 1


def step_of(
    network: nn.Module,
    real: Tensor | None = None,
    fake: Tensor | None = None,
    kimg: float = 1.0,
) -> PenaltyInputs:
    """A step whose random numbers are the same at each call."""
    real = random_images(2) if real is None else real
    fake = random_images(3, tuple(real.shape)) if fake is None else fake
    return PenaltyInputs(
        discriminate=network,
        network=network,
        real=real,
        fake=fake,
        logits=torch.stack([network(real), network(fake)]),
        anchors=torch.tensor([0.7, -0.4], dtype=torch.float64),
        kimg=kimg,
        random=BatchDraws(torch.Generator().manual_seed(0)),
    )
