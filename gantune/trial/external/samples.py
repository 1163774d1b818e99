"""Samples that a trainer of the user's own draws, in the form in which scores take them."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gantune.data import ImageSet
from gantune.errors import ScoreError, TrainerError
from gantune.scores.evaluator import Sample

Draw = Callable[..., Any]
"""``draw(n)`` or ``draw(n, generator)``: n images, an array or tensor."""


_ROUNDING = 1e-3  # by which floats may leave [-1, 1], as in ``gantune.data.samples``


_PLACE = "session.score(images=...)"


def own_sample(draw: Draw, real: ImageSet, device: torch.device) -> Sample:
    """The samples of ``draw`` as uint8 [n, C, H, W] (points: float32 [n, 2]) on the device.

    Bytes are taken as they are, floats as [-1, 1]. Calls raise ``TrainerError`` where ``draw``
    gives something else than images of the real ones' form, and ``ScoreError`` where they are not
    finite.
    """
    takes_generator = _takes_generator(draw)
    form = [2] if real.is_points else list(real.array.shape[1:])

    @torch.no_grad()
    def sample(count: int, rng: torch.Generator) -> Tensor:
        images = _tensor(draw(count, rng) if takes_generator else draw(count))
        if list(images.shape) != [count, *form]:
            raise TrainerError(
                f"{_PLACE}: asked for {count} images, it gave the shape {list(images.shape)}; "
                f"[{count}, {', '.join(map(str, form))}] is needed, the form of the real images of "
                f"{real.source} (data.resolution and data.colour change it)"
            )
        return _converted(images.to(device), real)

    return sample


def _tensor(images: Any) -> Tensor:
    if isinstance(images, Tensor):
        return images.detach()
    try:
        return torch.as_tensor(np.asarray(images))
    except (TypeError, ValueError, RuntimeError) as error:
        what = f"{_PLACE}: it gave a {type(images).__name__}, no array or tensor of images"
        raise TrainerError(what) from error


def _converted(images: Tensor, real: ImageSet) -> Tensor:
    if images.dtype == torch.uint8 and not real.is_points:
        return images
    if not images.is_floating_point():
        raise TrainerError(
            f"{_PLACE}: it gave {str(images.dtype).removeprefix('torch.')}; uint8 from 0 to 255 or "
            "floats from -1 to 1 are needed"
        )
    images = images.float()
    if not images.isfinite().all():
        raise ScoreError("the trainer's samples hold values that are not numbers")
    if real.is_points:
        return images
    low, high = float(images.min()), float(images.max())
    if low < -1 - _ROUNDING or high > 1 + _ROUNDING:
        raise TrainerError(
            f"{_PLACE}: it gave floats from {low:.4g} to {high:.4g}; they must lie in [-1, 1], or "
            "be uint8"
        )
    return images.add(1).mul_(127.5).round_().clamp_(0, 255).to(torch.uint8)


def _takes_generator(draw: Draw) -> bool:
    """Whether there is a second argument that must be given, or one with a generator's name."""
    try:
        parameters = list(inspect.signature(draw).parameters.values())
    except (TypeError, ValueError):  # of something built in
        return False
    positional = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    second = positional[1:2]
    return any(p.default is p.empty or p.name in ("generator", "rng") for p in second)


@contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within it the global random numbers of torch, NumPy and Python follow ``seed``; after it
    they go on as if nothing had been drawn."""
    accelerators = [device] if device.type == "cuda" else []
    numpy_state, python_state = np.random.get_state(), random.getstate()
    with torch.random.fork_rng(accelerators):
        seed_all(seed)
        try:
            yield
        finally:
            np.random.set_state(numpy_state)
            random.setstate(python_state)


def seed_all(seed: int) -> None:
    """Seeds the global random numbers of torch, NumPy and Python."""
    torch.manual_seed(seed)
    np.random.seed(seed)
    random.seed(seed)
