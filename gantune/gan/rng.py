"""Reproducible randomness: torch's global state per run, draws for a batch, the order of images."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

from gantune.gan.ranks import ALONE, Ranks


class RngState:
    """A run's own state of torch's global generators, which initial weights and dropout draw from.

    Each run sets its own state while it trains and restores the previous one, so that runs and
    callers do not affect each other. ``states``: those of the CPU and the device.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._accelerators = [device] if device.type == "cuda" else []
        devices = [torch.device("cpu"), *self._accelerators]
        self.states = [torch.Generator(d).manual_seed(seed).get_state() for d in devices]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Context in which torch's global generators have this run's state."""
        with torch.random.fork_rng(self._accelerators):
            on_cpu, *on_accelerators = self.states
            torch.set_rng_state(on_cpu)
            for device, state in zip(self._accelerators, on_accelerators, strict=True):
                torch.cuda.set_rng_state(state, device)
            yield
            self.states = [
                torch.get_rng_state(),
                *(torch.cuda.get_rng_state(device) for device in self._accelerators),
            ]


class BatchDraws:
    """Random numbers for the images of a batch, from one generator.

    Those of all ranks are drawn, and each rank takes the rows of its images: ``share`` in each
    batch. ``dim``: the dimension of a shape that counts this rank's images.
    """

    def __init__(self, generator: torch.Generator, ranks: Ranks = ALONE, share: int = 1) -> None:
        self._generator, self._ranks, self._share = generator, ranks, share

    def uniform(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """Floats in [0, 1)."""
        whole, source = self._whole(shape, 0), self._generator
        drawn = torch.rand(whole, generator=source, device=source.device, dtype=dtype)
        return self._ranks.rows(drawn, self._share)

    def normal(self, *shape: int) -> Tensor:
        """Floats from the standard normal distribution."""
        whole, source = self._whole(shape, 0), self._generator
        drawn = torch.randn(whole, generator=source, device=source.device)
        return self._ranks.rows(drawn, self._share)

    def integers(self, low: int, high: int, *shape: int, dim: int = 0) -> Tensor:
        """Integers from ``low`` to ``high``, both included."""
        whole, source = self._whole(shape, dim), self._generator
        drawn = torch.randint(low, high + 1, whole, generator=source, device=source.device)
        return self._ranks.rows(drawn, self._share, dim)

    def _whole(self, shape: Sequence[int], dim: int) -> list[int]:
        return [*shape[:dim], shape[dim] * self._ranks.count, *shape[dim + 1 :]]


class InfiniteSampler:
    """An endless sequence of shuffled epochs, a pure function of seed and position.

    So a resumed run needs only the number of images seen. Indices are made on ``device``, without
    waiting for it.
    """

    def __init__(self, count: int, seed: int, device: torch.device) -> None:
        self._count, self._seed, self._device = count, seed, device
        self._epoch, self._shuffled = -1, torch.empty(0, dtype=torch.long)

    def take(self, start: int, number: int) -> Tensor:
        """``number`` indices from position ``start``, int64; they may span epochs."""
        parts = []
        while number > 0:
            epoch, offset = divmod(start, self._count)
            if epoch != self._epoch:
                seed = int(np.random.SeedSequence((self._seed, epoch)).generate_state(1)[0])
                random = torch.Generator(self._device).manual_seed(seed)
                self._shuffled = torch.randperm(self._count, generator=random, device=self._device)
                self._epoch = epoch
            part = self._shuffled[offset : offset + number]
            parts.append(part)
            start, number = start + len(part), number - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)
