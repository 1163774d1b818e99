"""Sources of samples to score: given images, or the generator of a checkpoint."""

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
    """Images of any model, scored in their order."""

    name: str
    images: ImageSet

    @property
    def count(self) -> int:
        """Number of images."""
        return len(self.images)

    @property
    def resolution(self) -> int:
        """Side of the images, pixels."""
        return self.images.resolution

    @property
    def colour(self) -> Literal["gray", "rgb", "points"]:
        """Kind of the channels."""
        return self.images.colour

    def sampler(self, device: torch.device) -> Sample:
        """Returns the images in order; ignores the random numbers."""
        place = 0

        def sample(number: int, rng: torch.Generator) -> Tensor:
            nonlocal place
            rows = np.array(self.images.array[place : place + number])
            place += number
            return torch.from_numpy(rows).to(device)

        return sample


@dataclass(frozen=True)
class GeneratorSamples:
    """The averaged generator of a checkpoint, which draws any number of images."""

    name: str
    path: Path
    data: DataConfig
    """The data that it was trained on."""

    @classmethod
    def read(cls, name: str, path: Path) -> Self:
        """Reads a ``best.pt`` or ``last.pt``. Raises ``CheckpointError``."""
        return cls(name, path, load_weights(path).config.data)

    @property
    def resolution(self) -> int:
        """Side of the images, pixels; 0 for points."""
        return 0 if self.data.is_points else int(self.data.resolution)

    @property
    def colour(self) -> Literal["gray", "rgb", "points"]:
        """Kind of the channels."""
        if self.data.is_points:
            return "points"
        assert self.data.colour != "auto", "resolved before a network was built"
        return self.data.colour

    def sampler(self, device: torch.device) -> Sample:
        """Draws with the generator, as a search does. Raises ``CheckpointError``."""
        generator = load_generator(self.path, device)
        return lambda number, rng: sample_images(generator, number, rng)


Samples: TypeAlias = ImageSamples | GeneratorSamples
