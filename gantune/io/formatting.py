"""Numbers, shares, durations and errors as text: the only formatters of the project."""

import math
import re
import sys
import unicodedata
from collections.abc import Iterable, Sequence
from typing import Any

_NONE = "-"

_UNSEEN = ("Cc", "Cs", "Zl", "Zp")  # categories of Unicode


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


def figure(value: float) -> str:
    """A number within a sentence: three significant digits, an exponent only where it is needed."""
    largest = sys.float_info.max  # a ratio of finite numbers may overflow
    value = max(-largest, min(value, largest))
    return f"{value:,.0f}" if 1e3 <= abs(value) < 1e7 else f"{value:.3g}"


def format_ratio(value: float | None) -> str:
    """A number around 1 or below, such as recall: ``0.61``."""
    return _NONE if value is None else f"{value:.2f}"


def times(value: float) -> str:
    """A factor: ``1.04``, ``3.8``, ``1,200``."""
    if value < 1.1:
        return f"{value:.2f}"
    return f"{value:.1f}" if value < 9.95 else f"{value:,.0f}"


def share(value: float) -> str:
    """A share in [0, 1] as whole percent; ``under 1%`` of something, never ``0%``."""
    return "under 1%" if 0 < value < 0.005 else f"{value:.0%}"


def count(amount: int, one: str, many: str | None = None) -> str:
    """A number of things: ``1 trial``, ``2,000 trials``."""
    return f"{amount:,} {one if amount == 1 else many or one + 's'}"


def duration(seconds: float) -> str:
    """A measured duration: ``45s``, ``2m 10s``, ``1h 05m``, ``2d 03h``."""
    whole = max(round(seconds), 0)
    if whole < 60:
        return f"{whole}s"
    if whole < 3600:
        return f"{whole // 60}m {whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h {whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d {whole % 86400 // 3600:02d}h"


def approximate_duration(seconds: float) -> str:
    """An estimated duration: ``under a minute``, ``about 3 min``, ``about 2.5 h``."""
    if seconds < 50:
        return "under a minute"
    if seconds < 5400:
        return f"about {round(seconds / 60)} min"
    return f"about {seconds / 3600:.2g} h"


def spoken_duration(seconds: float) -> str:
    """A waiting time in a sentence: ``12 s``, ``5 minutes``."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"


def setting_duration(seconds: float) -> str:
    """A duration as it is written in a space file: ``10m``, ``90s``."""
    is_whole = seconds >= 60 and seconds % 60 == 0
    return f"{seconds / 60:g}m" if is_whole else f"{seconds:g}s"


def gib(size: float) -> str:
    """Bytes as ``1.5 GiB``."""
    return f"{size / 2**30:.1f} GiB"


def first_names(names: Sequence[str], most: int) -> str:
    """The first names of a list in a sentence: ``cat, dog, ...``."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def and_list(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *first, last = items
    return f"{', '.join(first)} and {last}" if first else last


def one_line(text: str) -> str:
    """The text with escapes in place of line ends, control characters and undecodable bytes."""
    return "".join(
        repr(each)[1:-1] if unicodedata.category(each) in _UNSEEN else each for each in text
    )


def number_ranges(numbers: Iterable[int], most: int = 10) -> str:
    """Whole numbers in a sentence: ``0 to 3, 5, 7 to 9``; of many ranges the first."""
    ranges: list[list[int]] = []
    for value in sorted(numbers):
        if ranges and ranges[-1][-1] == value - 1:
            ranges[-1] = [ranges[-1][0], value]
        else:
            ranges.append([value])
    return first_names([" to ".join(map(str, ends)) for ends in ranges], most)


def whole_number(text: str) -> int | None:
    """The number that text of plain digits stands for; ``None`` for other text, and above 10^15."""
    return int(text) if re.fullmatch("[0-9]{1,15}", text) else None


def last_line(text: str) -> str:
    """The last line of an error's text: after a traceback that is its message."""
    return next(reversed(text.strip().splitlines()), "")
