"""The order in which real images are shown: every image once an epoch, each epoch shuffled."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

__all__ = ["ImageOrder"]


class ImageOrder:
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
