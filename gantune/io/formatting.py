"""Numbers, shares and durations as text: the only formatters of the project."""

from __future__ import annotations

import math
import re
from typing import Any

_NONE = "-"


def number(value: Any) -> str:
    """A value of any kind; floats at three significant digits: ``2.13e-4``, ``0.5``, ``1,240``."""
    if value is None:
        return _NONE
    if isinstance(value, bool) or not isinstance(value, int | float):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, int) or not math.isfinite(value):
        return str(value)
    text = format_value(value)
    return re.sub(r"(\.\d*?)0+(?=e|$)", r"\1", text).replace(".e", "e").removesuffix(".")


def format_ratio(value: float | None) -> str:
    """A number around 1 or below, such as recall: ``0.61``."""
    return _NONE if value is None else f"{value:.2f}"


def share(value: float) -> str:
    """A share as whole percent, but never 0% of something."""
    return "under 1%" if 0 < value < 0.005 else f"{value:.0%}"


def count(amount: int, one: str, many: str | None = None) -> str:
    """``1 trial``, ``2 trials``."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """``45s``, ``2m 10s``, ``1h 05m``, ``2d 03h``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def approximate_duration(seconds: float) -> str:
    """An estimate, as coarse as it is: ``under a minute``, ``about 3 min``, ``about 2.5 h``."""
    if seconds < 50:
        return "under a minute"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.2g} h"


def format_value(value: float | None, digits: int = 3) -> str:
    """A number at ``digits`` significant digits, zeros kept so that columns compare: ``8.10``."""
    if value is None:
        return _NONE
    if not math.isfinite(value):
        return str(value)
    if value == 0:
        return "0"
    mantissa, _, power = f"{value:.{digits - 1}e}".partition("e")
    exponent = int(power)
    if exponent < -2 or exponent >= 6:
        return f"{mantissa}e{exponent}"
    return f"{value:,.{max(digits - 1 - exponent, 0)}f}"
