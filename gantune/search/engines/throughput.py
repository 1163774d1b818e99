"""How many workers a GPU is worth: a decision on plain numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["CONTEXT", "HEADROOM", "Measured", "Memory", "best_count", "describe", "next_count"]

CONTEXT = 0.5
"""GiB that a process takes of a GPU before it holds a tensor: CUDA's context and its kernels."""
HEADROOM = 0.1
"""Share of a device's memory that the workers together leave free: other trials take other sizes,
allocators break it into pieces, and somebody may have a desktop on it."""

_ENOUGH = 0.95  # of the best throughput: more workers for the rest only make each trial slower


@dataclass(frozen=True)
class Measured:
    """So many trainings at once on one device."""

    workers: int
    images_per_second: float
    """Of all of them together."""


@dataclass(frozen=True)
class Memory:
    """Of one device, GiB."""

    total: float
    free: float
    """Before any worker is there."""
    one: float
    """What one worker takes at its peak, training the largest of the space and scoring."""

    @property
    def most(self) -> int:
        """How many workers fit; one is always tried."""
        return max(1, int((self.free - HEADROOM * self.total) / max(self.one, 1e-9)))


def next_count(measured: Sequence[Measured], most: int) -> int | None:
    """How many trainings to measure next: twice as many, no more than ``most``.

    ``None`` once that cannot pay: all fit already, or the last doubling brought nothing.
    """
    if not measured:
        return 1
    last = measured[-1]
    former = max((m.images_per_second for m in measured[:-1]), default=0.0)
    if last.workers >= most or last.images_per_second * _ENOUGH <= former:
        return None
    return min(2 * last.workers, most)


def best_count(measured: Sequence[Measured]) -> int:
    """The smallest number whose throughput is within 5% of the best."""
    best = max(m.images_per_second for m in measured)
    return min(m.workers for m in measured if m.images_per_second >= _ENOUGH * best)


def describe(measured: Sequence[Measured]) -> str:
    """``2 workers a GPU: 1 trains 9,000 images/s, 2 train 14,100, 4 train 14,300``."""
    count = best_count(measured)
    parts = [
        f"{m.workers} train{'s' * (m.workers == 1)} {m.images_per_second:,.0f}" for m in measured
    ]
    parts[0] += " images/s"
    return f"{count} worker{'s' * (count > 1)} a GPU: {', '.join(parts)}"
