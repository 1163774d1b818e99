"""``RngState``: a training run's own state of torch's global random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor


class RngState:
    """Initial weights and dropout draw from torch's global generators, which all code shares.

    Each run brings its own state in while it trains and puts the former one back, so that neither
    another run nor the caller changes what it draws. ``states`` holds the CPU's and the device's.
    """

    def __init__(self, seed: int, device: torch.device) -> None:
        self._accelerators = [device] if device.type == "cuda" else []
        devices = [torch.device("cpu"), *self._accelerators]
        self.states = [torch.Generator(d).manual_seed(seed).get_state() for d in devices]

    @contextmanager
    def active(self) -> Iterator[None]:
        """Within it, torch's global generators are in this run's state."""
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


# The order in which real images are shown: every image once an epoch, each epoch shuffled.


class InfiniteSampler:
    """An endless sequence of shuffled epochs, a pure function of its seed and the position.

    So a resumed run needs nothing but the number of images that it has seen. Indices are made on
    ``device``, without a synchronisation.
    """

    def __init__(self, count: int, seed: int, device: torch.device) -> None:
        self._count, self._seed, self._device = count, seed, device
        self._epoch, self._shuffled = -1, torch.empty(0, dtype=torch.long)

    def take(self, start: int, number: int) -> Tensor:
        """The ``number`` indices from position ``start`` on; an epoch may end among them."""
        parts = []
        while number > 0:
            epoch, offset = divmod(start, self._count)
            part = self._shuffle(epoch)[offset : offset + number]
            parts.append(part)
            start, number = start + len(part), number - len(part)
        return parts[0] if len(parts) == 1 else torch.cat(parts)

    def _shuffle(self, epoch: int) -> Tensor:
        if epoch != self._epoch:
            seed = int(np.random.SeedSequence((self._seed, epoch)).generate_state(1)[0])
            generator = torch.Generator(self._device).manual_seed(seed)
            self._shuffled = torch.randperm(self._count, generator=generator, device=self._device)
            self._epoch = epoch
        return self._shuffled
