"""``RandomState``: a training run's own state of torch's global random numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["RandomState"]


class RandomState:
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
