"""A trial's own folder: ``ticks.jsonl`` with the scores and the config that stand beside it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gantune.errors import GantuneError
from gantune.health.logs.beside import object_lines, score_of
from gantune.health.logs.records import Record

__all__ = ["OwnRun", "read_own_run"]


@dataclass(frozen=True)
class OwnRun:
    """What is known of the run besides its ticks; ``loss`` and ``kimg`` only with its config."""

    scores: list[Record]
    loss: str | None = None
    kimg: float | None = None
    label_smoothing: float = 0.0


def read_own_run(folder: Path) -> OwnRun:
    """Reads ``scores.jsonl`` and ``config.yaml`` of ``folder``, each if it is there and whole."""
    scores = []
    for tree in object_lines(folder / "scores.jsonl"):
        kimg, value = score_of(tree.get("kimg")), score_of(tree.get("value"))
        # A rung of null is the score at the end, of other latents: not a point of the curve.
        if kimg is None or value is None or tree.get("rung") is None:
            continue
        scores.append(Record(kimg, "kimg", {"score": value}))
    if not (folder / "config.yaml").is_file():
        return OwnRun(scores)
    from gantune.config import load_config

    try:
        config = load_config(folder / "config.yaml")
    except GantuneError:
        return OwnRun(scores)
    return OwnRun(scores, config.loss, config.kimg, config.label_smoothing)
