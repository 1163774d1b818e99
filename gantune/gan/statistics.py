"""``TickStatistics``: the sums behind a ``Tick``, kept on the device until the tick is made."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from gantune.gan.player import StepStats

_DISCRIMINATOR = (
    *("d_loss", "d_real_std", "d_fake_std", "d_real", "d_fake", "d_real_sign", "d_fake_sign"),
    *("real_variance", "fake_variance"),
)


class TickStatistics:
    """Sums over the steps since the last tick, of both players."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._sums: dict[str, Tensor] = {}
        self._counts: dict[str, int] = {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing was added yet: the tick's first step is about to be made."""
        return not self._sums

    @torch.no_grad()
    def add_discriminator(self, loss: Tensor, logits: Tensor, images: Tensor) -> None:
        """A batch of D: its logits [2, N] of real and fake, and their images [2, N, ...]."""
        deviations, means = torch.std_mean(logits, dim=1)
        signs = logits.sign().mean(dim=1)
        differences = images - images.mean(dim=1, keepdim=True)
        variances = differences.square_().flatten(1).mean(dim=1)
        self._add("d", torch.cat([loss.view(1), deviations, means, signs, variances]))

    @torch.no_grad()
    def add_generator(self, loss: Tensor) -> None:
        """A batch of G."""
        self._add("g", loss.view(1))

    @torch.no_grad()
    def add_penalty(self, name: str, value: Tensor) -> None:
        """A penalty as it entered a loss."""
        self._add(f"penalty {name}", value.view(1))

    def add_update(self, player: Literal["d", "g"], update: StepStats) -> None:
        """One step of a player's optimizer."""
        self._add(f"{player} update", torch.stack([update.norm, update.skipped]))
        if update.change is not None:
            self.add_measure(f"{player}_update", update.change)

    @torch.no_grad()
    def add_held_out(self, logits: Tensor) -> None:
        """D's logits [N] on real images that it never learns from."""
        self.add_measure("d_held_out", logits.mean())
        self.add_measure("d_held_out_std", logits.std())
        self.add_measure("d_held_out_sign", logits.sign().mean())

    def add_measure(self, name: str, value: Tensor) -> None:
        """A number that is taken once a tick, by the name of the ``Tick``'s field."""
        self._add(f"measure {name}", value.view(1))

    def _add(self, name: str, values: Tensor) -> None:
        if name not in self._sums:
            self._sums[name] = torch.zeros(len(values), dtype=torch.float64, device=self._device)
            self._counts[name] = 0
        self._sums[name] += values
        self._counts[name] += 1

    def means(self) -> dict[str, Any]:
        """The fields of a ``Tick`` that come from the steps. The one synchronisation of a tick."""
        names = [name for name, sums in self._sums.items() for _ in sums]
        numbers = torch.cat(list(self._sums.values())).tolist()
        means: dict[str, list[float]] = {name: [] for name in self._sums}
        for name, number in zip(names, numbers, strict=True):
            means[name].append(number / self._counts[name])
        ends = dict(zip(_DISCRIMINATOR, means["d"], strict=True))
        real, fake = ends.pop("real_variance"), ends.pop("fake_variance")
        (d_grad, d_skipped), (g_grad, g_skipped) = means["d update"], means["g update"]
        return {
            **ends,
            **_named(means, "measure "),
            "g_loss": means["g"][0],
            "d_grad": d_grad,
            "g_grad": g_grad,
            "non_finite": max(d_skipped, g_skipped),
            # Images that are all alike have no variety to lose.
            "spread": math.sqrt(fake / real) if real else 1.0,
            "penalties": _named(means, "penalty "),
        }


def _named(means: Mapping[str, list[float]], kind: str) -> dict[str, float]:
    return {name.removeprefix(kind): mean[0] for name, mean in means.items() if kind in name}
