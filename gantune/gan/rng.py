"""Reproducible randomness: torch's global state per run, and the order of the images."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


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
