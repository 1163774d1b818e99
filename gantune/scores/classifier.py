"""A small convolutional classifier whose last hidden layer serves as features."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantune.scores.features import FeatureNetwork, to_input

__all__ = ["Classifier", "Schedule", "accuracy", "fit"]


class Classifier(FeatureNetwork):
    """Strided 3x3 convolutions down to 4x4, one hidden layer, one output a class.

    The features are the hidden layer's outputs after ReLU. ``size``: 16, 32 or 64 pixels; images
    of other sizes are resized to it.
    """

    kind = "classifier"

    def __init__(self, channels: int, size: int, features: int, classes: int) -> None:
        settings = {"channels": channels, "size": size, "features": features, "classes": classes}
        colour = "gray" if channels == 1 else "rgb"
        super().__init__(settings, features, f"{size} {colour}, bilinear, antialiased")
        self.channels, self.size = channels, size
        layers: list[nn.Module] = []
        inputs, outputs, side = channels, 16, size
        while side > 4:
            layers += [
                nn.Conv2d(inputs, outputs, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
            inputs, outputs, side = outputs, min(2 * outputs, 64), side // 2
        self.body = nn.Sequential(*layers)
        self.hidden = nn.Linear(inputs * side * side, features)
        self.head = nn.Linear(features, classes)

    def forward(self, images: Tensor) -> Tensor:
        x = to_input(images, self.channels, self.size)
        x = self.body(x.contiguous(memory_format=torch.channels_last))
        return F.relu(self.hidden(x.flatten(1)))

    def classify(self, features: Tensor) -> Tensor:
        return cast(Tensor, self.head(features)).argmax(dim=1)


@dataclass(frozen=True)
class Schedule:
    """How a classifier is trained: AdamW under a one-cycle rate (Smith and Topin 2017)."""

    epochs: int
    batch: int = 128
    rate: float = 4e-3
    weight_decay: float = 1e-2
    shift: int = 2
    """Largest random shift of a batch, pixels, in each direction."""
    seed: int = 0


def fit(images: Tensor, labels: Tensor, classes: int, features: int, how: Schedule) -> Classifier:
    """Trains on uint8 images [N, C, size, size] with int64 labels [N], on the CPU.

    One thread and an own seed, so that the weights do not depend on where it is called from.
    """
    with _repeatable(how.seed):
        network = Classifier(images.shape[1], images.shape[2], features, classes).train()
        optimizer = torch.optim.AdamW(
            network.parameters(), lr=how.rate, weight_decay=how.weight_decay
        )
        steps = how.epochs * -(-len(images) // how.batch)
        cycle = torch.optim.lr_scheduler.OneCycleLR(optimizer, how.rate, total_steps=steps)
        for _ in range(how.epochs):
            for index in torch.split(torch.randperm(len(images)), how.batch):
                logits = network.head(network(_shifted(images[index], how.shift)))
                loss = F.cross_entropy(logits, labels[index])
                optimizer.zero_grad()
                torch.autograd.backward(loss)
                optimizer.step()
                cycle.step()
    return network


@torch.inference_mode()
def accuracy(network: Classifier, images: Tensor, labels: Tensor) -> float:
    """Share of uint8 images [N, C, H, W] whose class is told rightly, in [0, 1]."""
    right = [
        (network.classify(network(part)) == truth).sum()
        for part, truth in zip(torch.split(images, 500), torch.split(labels, 500), strict=True)
    ]
    return int(sum(right)) / len(images)


def _shifted(images: Tensor, most: int) -> Tensor:
    dx, dy = torch.randint(-most, most + 1, (2,)).tolist()
    padded = F.pad(images.float(), (most, most, most, most), mode="replicate")
    side = images.shape[-1]
    return padded[:, :, most + dy : most + dy + side, most + dx : most + dx + side]


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
