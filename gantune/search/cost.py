"""``estimate_cost``: what a search costs at most, from the speed of its first config."""

from __future__ import annotations

import time
from dataclasses import dataclass

from gantune.config import OwnConfig, TrialConfig
from gantune.search.finalists import most_finalists
from gantune.search.prepare import Search

__all__ = ["Cost", "estimate_cost"]

_SECONDS = 2.0  # of training, from which the speed is taken


@dataclass(frozen=True)
class Cost:
    """What a search costs at most, if nothing is stopped early."""

    images_per_second: float
    """Of all workers together, measured on this machine."""
    kimg: float
    """Of all trials and finalists."""

    @property
    def seconds(self) -> float:
        """Training time; scoring comes on top."""
        return 1000 * self.kimg / self.images_per_second


def estimate_cost(search: Search) -> Cost | None:
    """The cost at the speed that placing the workers has measured, or else at that of one worker,
    which trains the first config for two seconds.

    ``None`` for a trainer of the user's own, of which nothing is known before it reports.
    """
    config, space, placement = search.config, search.space, search.placement
    if search.real is None or isinstance(config, OwnConfig):
        return None
    kimg = (space.budget.trials or 1) * config.kimg
    kimg += most_finalists(space) * space.finalists.budget(config.kimg)
    speed = placement.images_per_second or _speed(search, config) * len(placement.devices)
    return Cost(speed, kimg)


def _speed(search: Search, config: TrialConfig) -> float:
    """Images a second of one worker."""
    assert search.real is not None
    import torch

    from gantune.gan.trainer import Trainer

    torch.set_num_threads(search.placement.threads)
    device = torch.device(search.placement.devices[0])
    endless = {"tick_kimg": config.batch_size / 250, "kimg": 1_000_000.0}
    ticks = iter(Trainer(config.model_copy(update=endless), search.real.learned, device))
    kimg = shown = next(ticks).kimg  # the first one builds kernels
    begun = time.perf_counter()
    while time.perf_counter() - begun < _SECONDS:
        kimg = next(ticks).kimg
    return 1000 * (kimg - shown) / (time.perf_counter() - begun)
