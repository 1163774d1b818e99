"""Scores that stand in a file beside the log, brought to their records."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from gantune.health.logs.objects import parse_object
from gantune.health.logs.records import Record, number

__all__ = ["join", "object_lines", "score_of"]


def join(
    records: Iterable[Record], scores: Sequence[Record], *, is_rounded: bool = False
) -> Iterator[Record]:
    """``records`` with each of ``scores`` at its place, or as a record of its own where there is
    none; both in order. ``is_rounded``: the scores' places are rounded down to whole numbers."""
    due = sorted(scores, key=lambda score: score.at, reverse=True)
    for record in records:
        place = math.floor(record.at) if is_rounded else record.at
        while due and due[-1].at < place:
            yield due.pop()
        while due and due[-1].at == place:
            record = record._replace(values={**record.values, **due.pop().values})
        yield record
    yield from reversed(due)


def object_lines(path: Path) -> Iterator[dict[str, object]]:
    """The JSON objects in a file's lines; none where there is no such file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        tree = parse_object(line)
        if tree is not None:
            yield tree


def score_of(value: object) -> float | None:
    """A score, or ``None`` where there is none: what stands beside a log is no reason to fail."""
    try:
        return number(value)
    except ValueError:
        return None
