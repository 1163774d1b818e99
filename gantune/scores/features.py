"""``Extractor``: a fixed network that turns each image into one row of features."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gantune.gan.tensor_file import read_tensors

_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601


class FeatureNetwork(nn.Module):
    """A fixed feature network, always in evaluation mode.

    A saved extractor has ``kind``, the name of the class, and ``settings``, the arguments that
    build it again. torchmetrics reads ``num_features``, so it accepts such a network directly.
    """

    kind: ClassVar[str]
    is_users: ClassVar[bool] = False
    """Whether it runs a user's code."""
    changed: ClassVar[str] = "its weights are not those it was saved with"
    """The error where ``restored`` gives other weights than were saved."""

    def __init__(self, settings: dict[str, Any], num_features: int, resize: str) -> None:
        super().__init__()
        self.settings = settings
        self.num_features = num_features
        self.resize = resize

    def forward(self, images: Tensor) -> Tensor:
        """Features, float32 [N, D], of uint8 images [N, C, H, W] or float32 points [N, 2]."""
        raise NotImplementedError

    def classify(self, features: Tensor) -> Tensor | None:
        """Index of each row's class, int64 [N]; ``None`` where the network knows no classes."""
        return None

    def behaviour(self) -> str:
        """A fingerprint that is needed beside the weights; empty for gantune's own networks."""
        return ""

    def weights(self) -> dict[str, Any]:
        """The weights to save; empty where ``settings`` suffice."""
        return self.state_dict()

    @classmethod
    def restored(cls, settings: dict[str, Any], weights: Path) -> Self:
        """Rebuilds the network from its settings and its file of weights."""
        network = cls(**settings)
        network.load_state_dict(read_tensors(weights))
        return network


@dataclass(frozen=True)
class Extractor:
    """The feature network of one study, with its name and accuracy."""

    name: str
    """The name in scores: ``classifier-digits``, ``classifier``, ``random``, ..."""
    module: FeatureNetwork
    reason: str
    """Why it was selected, as a sentence."""
    classes: tuple[str, ...] = ()
    """Names of the classes that it knows."""
    accuracy: float | None = None
    """Share of held-out real images classified correctly; ``None`` without classes."""

    @property
    def features(self) -> int:
        """Number of features per image."""
        return self.module.num_features

    @property
    def resize(self) -> str:
        """How images are resized for the network."""
        return self.module.resize

    @cached_property
    def weights_hash(self) -> str:
        """SHA-256 (hexadecimal) over the names, types, shapes and values of all weights, and over
        the network's ``behaviour``."""
        digest = hashlib.sha256()
        for name, value in sorted(self.module.state_dict().items()):
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            flat = value.detach().cpu().contiguous().reshape(-1)
            digest.update(flat.view(torch.uint8).numpy().tobytes())  # NumPy has no bfloat16
        digest.update(self.module.behaviour().encode())
        return digest.hexdigest()

    def classify(self, features: Tensor) -> Tensor | None:
        """Class of each row of features, int64 [N]; ``None`` where no classes are known."""
        return self.module.classify(features) if self.classes else None


def to_input(images: Tensor, channels: int, size: int) -> Tensor:
    """Converts uint8 images [N, C, H, W] to float32 [N, channels, size, size] in [-1, 1].

    Colour becomes gray by luma (ITU-R BT.601), gray becomes colour by repetition. Resizing is
    bilinear and antialiased, as in Parmar et al. 2022, without rounding to levels.
    """
    x = images.div(127.5).sub_(1)
    if channels == 1 and x.shape[1] == 3:
        x = (x * x.new_tensor(_LUMA).view(1, 3, 1, 1)).sum(dim=1, keepdim=True)
    if x.shape[2:] != (size, size):
        x = F.interpolate(x, (size, size), mode="bilinear", antialias=True, align_corners=False)
    return x.expand(-1, channels, -1, -1)


def resized(images: Tensor, channels: int, size: int) -> Tensor:
    """``to_input`` rounded to uint8, which needs a quarter of the memory in training."""
    return to_input(images, channels, size).add(1).mul(127.5).round().clamp(0, 255).byte()
