"""The exponential moving average (EMA) of the generator, and the weights of a whole run."""

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from gantune.config import TrialConfig
from gantune.config.sections import EmaConfig


def ema_weight(half_life: float, ramp: float, seen: int, shown: int) -> float:
    """The weight of the newest parameters in the average, in [0, 1].

    ``half_life``: kimg, limited to the share ``ramp`` of the images seen so far (Karras et al.
    2020, ADA: ``ema_rampup``); without it the first rungs would score initial noise. ``seen``: real
    images so far, ``shown``: those since the last update.
    """
    images = min(half_life * 1000, ramp * seen)
    return 1 - 0.5 ** (shown / images) if images > 0 else 1.0


class Ema:
    """Averages a generator's weights and float buffers; ``generator`` is the average, in eval mode.

    Integer buffers, such as batch norm's count of batches, are copied. A batch that is not finite
    enters batch norm's running statistics although the step is skipped, and would stay there; such
    values are reset, in the source too, to those of the average.
    """

    def __init__(self, source: nn.Module) -> None:
        self.generator = copy.deepcopy(source).eval().requires_grad_(False)
        pairs = list(zip(_tensors(self.generator), _tensors(source), strict=True))
        statistics = {id(buffer) for buffer in source.buffers()}
        averaged = [pair for pair in pairs if pair[0].is_floating_point()]
        copied = [pair for pair in pairs if not pair[0].is_floating_point()]
        self._averages, self._sources = [a for a, _ in averaged], [s for _, s in averaged]
        self._copies, self._originals = [c for c, _ in copied], [o for _, o in copied]
        self._statistics = [(a, s) for a, s in averaged if id(s) in statistics]

    def update(self, weight: float | Tensor) -> None:
        """Moves the average towards the source by ``weight`` in [0, 1], a number or a scalar on the
        device."""
        with torch.no_grad():
            if self._statistics:
                # All at once: few kernel launches on a GPU, however many layers there are.
                averages, sources = zip(*self._statistics, strict=True)
                newest = torch.cat(sources)
                finite = torch.where(newest.isfinite(), newest, torch.cat(averages))
                torch._foreach_copy_(sources, torch.split(finite, [len(s) for s in sources]))
            if isinstance(weight, Tensor):
                moves = torch._foreach_sub(self._sources, self._averages)
                torch._foreach_mul_(moves, weight)
                torch._foreach_add_(self._averages, moves)
            else:
                torch._foreach_lerp_(self._averages, self._sources, weight)
            if self._copies:
                torch._foreach_copy_(self._copies, self._originals)

    def follow(self, settings: EmaConfig, *, seen: int, shown: int) -> None:
        """Moves the average by a config's ``ema``; ``seen``, ``shown``: as in ``ema_weight``."""
        self.update(ema_weight(settings.half_life, settings.ramp, seen, shown))


def _tensors(network: nn.Module) -> list[Tensor]:
    return [*network.parameters(), *network.buffers()]


@dataclass(frozen=True)
class Weights:
    """The weights of a run as state dicts, for ``Trainer.start_from``."""

    config: TrialConfig
    kimg: float
    """Thousands of real images that they were trained on."""
    generator: Mapping[str, Any]
    discriminator: Mapping[str, Any]
    generator_ema: Mapping[str, Any]
