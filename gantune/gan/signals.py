"""``Signals``: the sums behind a ``Tick``, kept on the device until the tick is made."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from gantune.gan.player import Update

__all__ = ["Signals"]

_DISCRIMINATOR = (
    *("d_loss", "d_real_std", "d_fake_std", "d_real", "d_fake", "d_real_sign", "d_fake_sign"),
    *("real_variance", "fake_variance", "d_grad", "d_skipped"),
)
_GENERATOR = ("g_loss", "g_grad", "g_skipped")


class Signals:
    """Sums over the steps since the last tick, of both players."""

    def __init__(self, device: torch.device) -> None:
        self._d_sum = torch.zeros(len(_DISCRIMINATOR), dtype=torch.float64, device=device)
        self._g_sum = torch.zeros(len(_GENERATOR), dtype=torch.float64, device=device)
        self._d_steps, self._g_steps = 0, 0
        self._penalties: dict[str, list[Tensor]] = {}

    @torch.no_grad()
    def add_discriminator(
        self, loss: Tensor, logits: Tensor, images: Tensor, update: Update
    ) -> None:
        """One step of D: its logits [2, N] of real and fake, and their images [2, N, ...]."""
        deviations, means = torch.std_mean(logits, dim=1)
        signs = logits.sign().mean(dim=1)
        differences = images - images.mean(dim=1, keepdim=True)
        variances = differences.square_().flatten(1).mean(dim=1)
        ends = torch.stack(update)
        self._d_sum += torch.cat([loss.view(1), deviations, means, signs, variances, ends])
        self._d_steps += 1

    @torch.no_grad()
    def add_penalty(self, name: str, value: Tensor) -> None:
        """A penalty as it entered D's loss."""
        self._penalties.setdefault(name, []).append(value.detach())

    @torch.no_grad()
    def add_generator(self, loss: Tensor, update: Update) -> None:
        """One step of G."""
        self._g_sum += torch.stack([loss, *update])
        self._g_steps += 1

    def means(self) -> dict[str, Any]:
        """The fields of a ``Tick`` that come from the steps. The one synchronisation of a tick."""
        penalties = [torch.stack(values).double().mean() for values in self._penalties.values()]
        numbers = torch.cat([self._d_sum, self._g_sum, *(p.view(1) for p in penalties)]).tolist()
        count = len(_DISCRIMINATOR) + len(_GENERATOR)
        sums = dict(zip((*_DISCRIMINATOR, *_GENERATOR), numbers[:count], strict=True))
        skipped = sums.pop("d_skipped") / self._d_steps, sums.pop("g_skipped") / self._g_steps
        fake, real = sums.pop("fake_variance"), sums.pop("real_variance")
        steps = dict.fromkeys(_DISCRIMINATOR, self._d_steps)
        return {
            **{name: total / steps.get(name, self._g_steps) for name, total in sums.items()},
            "non_finite": max(skipped),
            # Images that are all alike have no variety to lose.
            "spread": math.sqrt(fake / real) if real else 1.0,
            "penalties": dict(zip(self._penalties, numbers[count:], strict=True)),
        }
