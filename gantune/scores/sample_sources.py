"""What is scored: images that somebody drew, or a generator that draws them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self, TypeAlias

import numpy as np
import torch
from torch import Tensor

from gantune.config import DataConfig
from gantune.data.image_set import ImageSet
from gantune.gan.checkpoint import load_generator, load_weights
from gantune.gan.sampling import sample_images
from gantune.scores.evaluator import Sample


@dataclass(frozen=True)
class ImageSamples:
    """Images of any model, scored in the order in which they come."""

    name: str
    images: ImageSet

    @property
    def count(self) -> int:
        """How many images there are."""
        return len(self.images)

    @property
    def resolution(self) -> int:
        """Side of the images, pixels."""
        return self.images.resolution

    @property
    def colour(self) -> Literal["gray", "rgb", "points"]:
        """Channels as a word."""
        return self.images.colour

    def sampler(self, device: torch.device) -> Sample:
        """Gives the images from the first one on, whatever the random numbers."""
        place = 0

        def sample(number: int, rng: torch.Generator) -> Tensor:
            nonlocal place
            rows = np.array(self.images.array[place : place + number])
            place += number
            return torch.from_numpy(rows).to(device)

        return sample


@dataclass(frozen=True)
class GeneratorSamples:
    """The averaged generator of a checkpoint; it draws as many images as are asked for."""

    name: str
    path: Path
    data: DataConfig
    """What it was trained on."""

    @classmethod
    def read(cls, name: str, path: Path) -> Self:
        """Of a ``best.pt`` or ``last.pt``. Raises ``CheckpointError``."""
        return cls(name, path, load_weights(path).config.data)

    @property
    def resolution(self) -> int:
        """Side of the images, pixels; 0 for points."""
        return 0 if self.data.is_points else int(self.data.resolution)

    @property
    def colour(self) -> Literal["gray", "rgb", "points"]:
        """Channels as a word."""
        if self.data.is_points:
            return "points"
        assert self.data.colour != "auto", "a network was built for it"
        return self.data.colour

    def sampler(self, device: torch.device) -> Sample:
        """Draws with the generator, as a search does. Raises ``CheckpointError``."""
        generator = load_generator(self.path, device)
        return lambda number, rng: sample_images(generator, number, rng)


Samples: TypeAlias = ImageSamples | GeneratorSamples
