"""Text of others in Markdown: shown as it is, whatever stands in it."""

from __future__ import annotations

import re

__all__ = ["as_code", "as_text"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$^=:@-])")


def as_text(text: str) -> str:
    """Text on one line in which nothing is markup, neither Markdown's nor HTML's."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def as_code(text: str) -> str:
    """Text as a block of code; its fence is longer than any in the text."""
    ticks = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(ticks + 1, 3)
    return f"{fence}\n{text.strip()}\n{fence}"
