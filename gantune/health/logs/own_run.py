"""A trial's own folder: ``ticks.jsonl`` with the scores and the config that stand beside it."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

from gantune.errors import GantuneError
from gantune.health.logs.beside import object_lines, score_of
from gantune.health.logs.records import Record

__all__ = ["OwnRun", "is_own_run", "read_own_run"]

_TICK = {"kimg", "d_real_std", "non_finite"}


@dataclass(frozen=True)
class OwnRun:
    """What is known of the run besides its ticks; ``loss`` and ``kimg`` only with its config."""

    scores: list[Record]
    loss: str | None = None
    kimg: float | None = None
    label_smoothing: float = 0.0


def is_own_run(folder: Path, names: Set[str]) -> bool:
    """Whether lines with these names are ticks of a trial, whose folder this is."""
    return names >= _TICK or ("kimg" in names and (folder / "scores.jsonl").is_file())


def read_own_run(folder: Path) -> OwnRun:
    """Reads ``scores.jsonl`` and ``config.yaml`` of ``folder``, each if it is there and whole."""
    scores = []
    for tree in object_lines(folder / "scores.jsonl"):
        kimg, value = score_of(tree.get("kimg")), score_of(tree.get("value"))
        # A rung of null is the score at the end, of other latents: not a point of the curve.
        if kimg is None or value is None or tree.get("rung") is None:
            continue
        values = {"score": value}
        spread = score_of(tree.get("spread"))
        if spread is not None:
            values["feature_spread"] = spread
        scores.append(Record(kimg, "kimg", values))
    if not (folder / "config.yaml").is_file():
        return OwnRun(scores)
    from gantune.config import load_any_config

    try:
        config = load_any_config(folder / "config.yaml")
    except GantuneError:
        return OwnRun(scores)
    return OwnRun(scores, config.loss, config.kimg, config.label_smoothing)
