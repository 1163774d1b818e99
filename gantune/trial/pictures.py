"""Pictures of a run's samples: a grid at each rung, and the training images nearest to the best."""

from __future__ import annotations

from pathlib import Path

import torch

from gantune.errors import ScoreError
from gantune.gan.device_support import is_out_of_memory
from gantune.gan.sampling import save_grid
from gantune.scores.evaluator import Evaluator, Sample
from gantune.scores.neighbours import draw_neighbours

_IMAGES = 64


_SEED = 0


def draw_grid(sample: Sample, device: torch.device, path: Path) -> torch.Tensor:
    """Draws samples side by side, of the same latents at each call, and gives them back.

    Raises ``OSError``.
    """
    samples = _drawn(sample, device)
    save_grid(samples, path)
    return samples


def draw_nearest(sample: Sample, device: torch.device, evaluator: Evaluator, path: Path) -> None:
    """Draws neighbours if they can be drawn: a scored run is no worse without the picture.

    Raises ``OSError``.
    """
    try:
        samples = _drawn(sample, device)
        if samples.ndim == 4:  # points have no picture
            draw_neighbours(evaluator, samples, path)
    except (ScoreError, RuntimeError, MemoryError) as error:
        if not isinstance(error, ScoreError) and not is_out_of_memory(error):
            raise


def _drawn(sample: Sample, device: torch.device) -> torch.Tensor:
    return sample(_IMAGES, torch.Generator(device).manual_seed(_SEED))
