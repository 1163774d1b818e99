"""Pictures of a run: real images, sample grids, and the training images nearest to samples."""

from pathlib import Path

import numpy as np
import torch

from gantune.data.image_set import ImageSet, random_subset
from gantune.errors import ScoreError
from gantune.gan.device_support import is_out_of_memory
from gantune.gan.sampling import save_grid
from gantune.scores.evaluator import Evaluator, Sample, draw_neighbours

_IMAGES = 64
_POINTS = 2000  # of a picture of real points
_SEED = 0


def draw_real_images(images: ImageSet, path: Path) -> None:
    """Draws a random subset of the images, unless the picture exists already."""
    if path.exists():
        return
    count = min(_POINTS if images.is_points else _IMAGES, len(images))
    places = random_subset(len(images), count)
    save_grid(torch.from_numpy(np.ascontiguousarray(images.array[places])), path)


def draw_nearest(sample: Sample, device: torch.device, evaluator: Evaluator, path: Path) -> None:
    """Draws samples beside the training images nearest to them, if memory and values allow it.

    Points have no such picture. Raises ``OSError``.
    """
    try:
        samples = fixed_samples(sample, device)
        if samples.ndim == 4:
            draw_neighbours(evaluator, samples, path)
    except (ScoreError, RuntimeError, MemoryError) as error:
        if not isinstance(error, ScoreError) and not is_out_of_memory(error):
            raise


def fixed_samples(sample: Sample, device: torch.device) -> torch.Tensor:
    """Samples for a grid, of the same latents at each call. Raises what ``sample`` raises."""
    return sample(_IMAGES, torch.Generator(device).manual_seed(_SEED))
