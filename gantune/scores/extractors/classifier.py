"""A small convolutional classifier of labelled images, whose hidden layer gives features."""

import math
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from gantune.data.image_set import ImageSet
from gantune.errors import ScoreError
from gantune.gan.device_support import torch_threads
from gantune.scores.features import Extractor, FeatureNetwork, resized, to_input

LEAST_SKILL = 0.5
"""The least skill of a classifier whose features may be used: 0 is always naming the most frequent
class, 1 is no mistake. Below one half, the classifier misses more than it sees."""

_CONFIDENCE = 1.96  # standard deviations: 95%, two-sided
_FEATURES = 64
_PASSES = 80_000  # training images of 32 pixels, epochs included: 10 to 25 seconds on one thread
_EPOCHS = 3
_MOST_HELD_OUT = 2_000
_FEWEST_PER_CLASS = 20


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
class ClassifierSchedule:
    """How a classifier is trained: AdamW under a one-cycle rate (Smith and Topin 2017)."""

    epochs: int
    batch: int = 128
    rate: float = 4e-3
    weight_decay: float = 1e-2
    shift: int = 2
    """Largest random shift of a batch, pixels, in each direction."""
    seed: int = 0


def fit(
    images: Tensor, labels: Tensor, classes: int, features: int, how: ClassifierSchedule
) -> Classifier:
    """Trains on uint8 images [N, C, size, size] with int64 labels [N], on the CPU.

    Uses one thread and a seed of its own, so that the weights do not depend on the caller.
    """
    with torch.random.fork_rng(devices=[]), torch_threads(1):
        torch.manual_seed(how.seed)
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
    """Share of uint8 images [N, C, H, W] classified correctly, in [0, 1]."""
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


def train_own_classifier(images: ImageSet) -> Extractor:
    """Trains on at least four fifths of the images, and measures the accuracy on the others.

    Raises ``ScoreError`` without labels, for fewer than two classes or fewer than 20 images per
    class, and where the lower bound of the skill (``skill_bound``) is below ``LEAST_SKILL``.
    """
    labels = images.labels
    if labels is None:
        raise ScoreError("the images have no labels")
    present, counts = np.unique(labels, return_counts=True)
    if len(present) < 2:
        raise ScoreError("all images have one label")
    if counts.mean() < _FEWEST_PER_CLASS:
        raise ScoreError(
            f"{len(present)} classes share {len(images)} images, "
            f"fewer than {_FEWEST_PER_CLASS} per class"
        )

    size = 32 if images.resolution <= 32 else 64
    passes = _PASSES * (32 / size) ** 2
    order = np.random.default_rng(0).permutation(len(images))
    held_out = min(_MOST_HELD_OUT, len(images) // 5)
    test, train = order[:held_out], order[held_out : held_out + int(passes / _EPOCHS)]
    schedule = ClassifierSchedule(epochs=min(20, round(passes / len(train))))
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
        bound, needed = _lower_end(reached, held_out), commonest + LEAST_SKILL * (1 - commonest)
        raise ScoreError(
            f"a small classifier got {reached:.1%} of {held_out} held-out images right, at least "
            f"{bound:.1%} with 95% confidence, and {needed:.1%} is needed"
        )
    why = (
        f"trained on {len(train)} of the labelled images, {reached:.1%} right on {held_out} others"
    )
    return Extractor("classifier", network, why, images.classes, reached)


def skill_bound(accuracy: float, count: int, commonest: float) -> float:
    """A lower bound of the skill from ``accuracy`` on ``count`` images, at most 1.

    The lower end of Wilson's 95% interval (Wilson 1927), scaled so that 0 is ``commonest``, the
    share of the most frequent class, and 1 is no mistake. So a few lucky images do not count.
    """
    return (_lower_end(accuracy, count) - commonest) / max(1 - commonest, 1e-9)


def _lower_end(share: float, count: int) -> float:
    """The lower end of Wilson's interval for a share observed in ``count`` cases."""
    z2 = _CONFIDENCE**2
    spread = _CONFIDENCE * math.sqrt(share * (1 - share) / count + z2 / (4 * count**2))
    return (share + z2 / (2 * count) - spread) / (1 + z2 / count)


def _inputs(images: ImageSet, index: NDArray[np.int64], size: int) -> Tensor:
    """Images by index as uint8 [n, C, size, size]."""
    parts = np.array_split(index, -(-len(index) // 500))
    channels = images.array.shape[1]
    return torch.cat([resized(torch.from_numpy(images.array[p]), channels, size) for p in parts])
