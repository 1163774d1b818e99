"""Synthetic logs: rows as text and in files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable, Mapping
from typing import Any

from gantune.health.logs import Record


def calm_rows(count: int = 60, seed: int = 0, every: int = 100) -> list[dict[str, Any]]:
    """A healthy run of the vanilla loss with a row at regular steps."""
    rng = random.Random(seed)
    return [
        {
            "step": (index + 1) * every,
            "d_loss": 1.386 * rng.uniform(0.9, 1.1),
            "g_loss": 0.693 * rng.uniform(0.9, 1.1),
        }
        for index in range(count)
    ]


def won_rows(count: int = 100, after: int = 20) -> list[dict[str, Any]]:
    """A run whose discriminator wins after a number of rows."""
    rows = calm_rows(count)
    for row in rows[after:]:
        row |= {"d_loss": 1e-4, "g_loss": 9.0}
    return rows


def as_csv(rows: Iterable[Mapping[str, Any]], delimiter: str = ",") -> str:
    """The rows as a table, with an empty cell for ``None`` or a missing value."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [delimiter.join(names)]
    for row in rows:
        cells = (row.get(name) for name in names)
        lines.append(delimiter.join("" if cell is None else str(cell) for cell in cells))
    return "".join(line + "\n" for line in lines)


def as_lines(rows: Iterable[Mapping[str, Any]]) -> str:
    """The rows as JSON lines."""
    return "".join(json.dumps(row) + "\n" for row in rows)


def stylegan_line(kimg: float, d_loss: float, **more: float) -> dict[str, Any]:
    """A line of StyleGAN's ``stats.jsonl``."""
    names = {
        "Loss/scores/fake": -0.5,
        "Loss/G/loss": 0.9,
        "Loss/scores/real": 0.5,
        "Loss/D/loss": d_loss,
        "Loss/D/reg": 0.1,
        "Progress/kimg": kimg,
    }
    moments = {k: {"num": 64, "mean": v, "std": 0.1} for k, v in (names | more).items()}
    return moments | {"timestamp": 1.6e9 + kimg}


def places(records: Iterable[Record]) -> list[float]:
    return [record.at for record in records]
