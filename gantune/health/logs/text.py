"""Lines of a log's bytes as text, one at a time: nothing is read ahead of the line asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

__all__ = ["Lines"]


class Lines(Iterator[str]):
    """Lines without their ends; ``number`` counts from 1, ``is_whole`` tells whether the last one
    had an end. What a progress bar wrote over with a carriage return is gone."""

    def __init__(self, raw: Iterable[bytes]) -> None:
        self._raw = iter(raw)
        self.number = 0
        self.is_whole = True
        self.looks: tuple[int, Callable[[], None]] | None = None
        """A line's number, and what is called once that line has come."""

    def __next__(self) -> str:
        raw = next(self._raw)
        self.number += 1
        if self.looks is not None and self.number == self.looks[0]:
            self.looks[1]()
        self.is_whole = raw.endswith(b"\n")
        # Foreign bytes stand in columns that nobody reads, or are found to be no number.
        text = raw.decode("utf-8-sig" if self.number == 1 else "utf-8", errors="replace")
        return text.rstrip("\r\n").rpartition("\r")[2]
