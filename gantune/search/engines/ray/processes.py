"""Which processes a process has started, on Linux."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

__all__ = ["descendants"]


def descendants(process: int) -> list[int]:
    """All that a process has started, and they in turn, the youngest first."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [*descendants(child), child]
    return found
