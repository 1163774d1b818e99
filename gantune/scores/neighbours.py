"""A picture of samples beside the training images that are nearest to them: copies show."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from gantune.gan.sampling import GRAY, save_grid
from gantune.scores.evaluator import Evaluator

# A picture of samples beside the training images that are nearest to them: copies are seen.


_SHOWN = 8  # samples, a row each


_NEAREST = 6  # training images beside each


def draw_neighbours(evaluator: Evaluator, samples: Tensor, path: Path | str) -> None:
    """Writes a PNG with a row for each of the eight most suspicious of ``samples``.

    Those whose nearest training image, in the extractor's features, is nearest of all; the nearest
    first. A row holds the sample, a blank tile, and up to six training images, nearest first.
    ``samples``: uint8 [N, C, H, W], 2 or more. Raises ``ScoreError`` where their features are not
    finite, ``OSError`` where the picture cannot be written.
    """
    found = evaluator.nearest_training(samples, _NEAREST)
    order = found.distances[:, 0].argsort(stable=True)[:_SHOWN]
    near = found.images[order]  # [rows, nearest, C, H, W]
    own = samples.cpu()[order].unsqueeze(1)
    rows = torch.cat([own, torch.full_like(own, GRAY), near], dim=1)
    save_grid(rows.flatten(0, 1), path, columns=rows.shape[1])
