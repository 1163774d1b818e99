"""Images moved by whole pixels, each by its own number."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

__all__ = ["shift"]


def shift(images: Tensor, down: Tensor, right: Tensor, edge: Literal["zero", "mirror"]) -> Tensor:
    """Images [N, C, H, W], moved ``down`` and ``right`` by int64 [N] pixels less than their side.

    What comes in over the edge is 0, or what lies on the other side of the outermost pixels.
    Differentiable any number of times.
    """
    for dim, by in ((2, down), (3, right)):
        images = _along(images, dim, by.view(-1, 1), edge)
    return images


def _along(images: Tensor, dim: int, by: Tensor, edge: str) -> Tensor:
    last = images.shape[dim] - 1
    source = torch.arange(last + 1, device=images.device) - by  # [N, side]
    # Mirrored at the first and the last pixel; where zeros follow, any pixel will do.
    index = last - (last - source.abs()).abs()
    shape = [len(images), 1, 1, 1]
    shape[dim] = last + 1
    moved = images.gather(dim, index.view(shape).expand_as(images))
    if edge == "mirror":
        return moved
    outside = (source < 0) | (source > last)
    return moved.masked_fill(outside.view(shape), 0)
