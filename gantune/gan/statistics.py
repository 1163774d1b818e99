"""``TickStatistics``: the sums behind a ``Tick``, which stay on the device until its end."""

import math
from collections import Counter
from collections.abc import Mapping
from typing import Any, Literal

import torch
from torch import Tensor

from gantune.gan.player import StepStats
from gantune.gan.ranks import ALONE, Ranks

_DISCRIMINATOR = (
    *("d_loss", "d_real_std", "d_fake_std", "d_real", "d_fake", "d_real_sign", "d_fake_sign"),
    *("real_variance", "fake_variance"),
)


class TickStatistics:
    """Sums over the steps of both players since the last tick. Of several ranks each adds what it
    sees of its share, and ``means`` are those of all."""

    def __init__(self, device: torch.device, ranks: Ranks = ALONE) -> None:
        self._device, self._ranks = device, ranks
        self._sums: dict[str, Tensor] = {}
        self._counts: Counter[str] = Counter()

    @property
    def is_empty(self) -> bool:
        """Whether the first step of the tick is still to come."""
        return not self._counts

    def restart(self) -> None:
        """Begins the next tick, in the same memory, to which recorded steps write."""
        for sums in self._sums.values():
            sums.zero_()
        self._counts.clear()

    @property
    def counts(self) -> Counter[str]:
        """How often each sum was added to."""
        return Counter(self._counts)

    def set_counts(self, counts: Counter[str]) -> None:
        """Goes back to earlier ``counts``, where what was counted since was not done."""
        self._counts = Counter(counts)

    def count(self, added: Counter[str]) -> None:
        """Counts what a replay has added to the sums."""
        self._counts.update(added)

    @torch.no_grad()
    def add_discriminator(
        self, loss: Tensor, logits: Tensor, images: Tensor, penalties: Mapping[str, Tensor] = {}
    ) -> None:
        """A batch of D: its loss, logits [2, N] on real and generated images, of all ranks, and
        these images [2, N, ...]; and the penalties as they enter the loss."""
        deviations, means = torch.std_mean(logits, dim=1)
        signs = logits.sign().mean(dim=1)
        self._ranks.average([centre := images.mean(dim=1, keepdim=True)])
        differences = images - centre
        variances = differences.square_().mean(dim=tuple(range(1, images.ndim)))
        self._add("d", torch.cat([loss.view(1), deviations, means, signs, variances]), penalties)

    @torch.no_grad()
    def add_generator(self, loss: Tensor, penalties: Mapping[str, Tensor] = {}) -> None:
        """A batch of G: its loss, and the penalties as they enter it."""
        self._add("g", loss.view(1), penalties)

    def add_step(self, player: Literal["d", "g"], stats: StepStats) -> None:
        """One step of a player's optimizer."""
        self._add(f"{player} step", torch.stack([stats.norm, stats.skipped]))
        if stats.change is not None:
            self.add_measure(f"{player}_update", stats.change)

    @torch.no_grad()
    def add_held_out(self, logits: Tensor) -> None:
        """D's logits [N] on real images that it is never trained on."""
        self.add_measure("d_held_out", logits.mean())
        self.add_measure("d_held_out_std", logits.std())
        self.add_measure("d_held_out_sign", logits.sign().mean())

    def add_measure(self, name: str, value: Tensor) -> None:
        """A number that is taken once a tick, by the name of the ``Tick``'s field."""
        self._add(f"measure {name}", value.view(1))

    def _add(self, name: str, values: Tensor, penalties: Mapping[str, Tensor] = {}) -> None:
        if name not in self._sums:
            self._sums[name] = torch.zeros(len(values), dtype=torch.float64, device=self._device)
        self._sums[name] += values
        self._counts[name] += 1
        for penalty, value in penalties.items():
            self._add(f"penalty {penalty}", value.view(1))

    def means(self) -> dict[str, Any]:
        """The fields of a ``Tick`` that come from the steps. The only synchronisation of a tick."""
        found = {name: sums for name, sums in self._sums.items() if self._counts[name]}
        names = [name for name, sums in found.items() for _ in sums]
        self._ranks.average(list(found.values()))
        numbers = torch.cat(list(found.values())).tolist()
        means: dict[str, list[float]] = {name: [] for name in found}
        for name, number in zip(names, numbers, strict=True):
            means[name].append(number / self._counts[name])
        discriminator = dict(zip(_DISCRIMINATOR, means["d"], strict=True))
        real, fake = discriminator.pop("real_variance"), discriminator.pop("fake_variance")
        (d_grad, d_skipped), (g_grad, g_skipped) = means["d step"], means["g step"]
        return {
            **discriminator,
            **_by_prefix(means, "measure "),
            "g_loss": means["g"][0],
            "d_grad": d_grad,
            "g_grad": g_grad,
            "non_finite": max(d_skipped, g_skipped),
            # Images that are all alike have no variety to lose.
            "spread": math.sqrt(fake / real) if real else 1.0,
            "penalties": _by_prefix(means, "penalty "),
        }


def _by_prefix(means: Mapping[str, list[float]], prefix: str) -> dict[str, float]:
    return {
        name.removeprefix(prefix): mean[0]
        for name, mean in means.items()
        if name.startswith(prefix)
    }
