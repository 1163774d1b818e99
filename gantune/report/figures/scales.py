"""Axes that fit their values: linear, logarithmic, or logarithmic to both sides of 0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gantune.io.formatting import number
from gantune.report.figures.style import axis

__all__ = ["is_wide", "signed_log", "signed_log_axis", "value_axis"]

_WIDE = 8.0  # largest over smallest, from which on an axis is logarithmic
_PADDING = 0.05  # of the span, beyond the outermost value
_MOST_TICKS = 6


def is_wide(values: Sequence[float]) -> bool:
    """Whether positive values span so much that a linear axis would squeeze most of them."""
    return bool(values) and min(values) > 0 and max(values) / min(values) >= _WIDE


def value_axis(title: str, values: Sequence[float], **changes: Any) -> dict[str, Any]:
    """A linear or logarithmic axis over all of the values."""
    if not is_wide(values):
        return axis(title, **changes)
    low, high = math.log10(min(values)), math.log10(max(values))
    pad = _PADDING * (high - low)
    ticks = _ticks(low - pad, high + pad)
    return axis(
        title,
        type="log",
        range=[low - pad, high + pad],
        tickvals=ticks,
        ticktext=[number(tick) for tick in ticks],
        **changes,
    )


def signed_log(value: float | None) -> float | None:
    """Linear around 0, logarithmic beyond 1 to both sides: an exploding critic and a loss at rest
    can both be seen."""
    return None if value is None else math.asinh(value * 5) / 5


def signed_log_axis(title: str, values: Sequence[float], **changes: Any) -> dict[str, Any]:
    """The axis of values that went through ``signed_log``; ``values``: before it."""
    largest = max(map(abs, values), default=1.0)
    powers = range(0, max(math.ceil(math.log10(max(largest, 1.0))), 0) + 1)
    step = max(math.ceil(len(powers) / _MOST_TICKS * 2), 1)
    above = [10.0**power for power in powers if power % step == 0]
    ticks = [*(-tick for tick in reversed(above)), 0.0, *above]
    return axis(
        title,
        tickvals=[signed_log(tick) for tick in ticks],
        ticktext=[number(tick) for tick in ticks],
        **changes,
    )


def _ticks(low: float, high: float) -> list[float]:
    """Round numbers between two powers of ten: all of 1, 2, 5, of 1 alone where these are many."""
    for digits in ((1, 2, 5), (1, 3), (1,)):
        found = [
            digit * 10.0**power
            for power in range(math.floor(low), math.ceil(high) + 1)
            for digit in digits
            if low <= math.log10(digit) + power <= high
        ]
        if len(found) <= _MOST_TICKS:
            return found
    return found[:: math.ceil(len(found) / _MOST_TICKS)]
