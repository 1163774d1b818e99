"""Scores that stand in a file beside the log, brought to their records."""

from __future__ import annotations

import math
import re
from collections.abc import Container, Iterable, Iterator, Sequence, Set
from dataclasses import dataclass
from pathlib import Path

from gantune.errors import GantuneError
from gantune.health.logs.formats import parse_object
from gantune.health.logs.records import Record, number


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


# A trial's own folder: ``ticks.jsonl`` with the scores and the config that stand beside it.


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


# ``stats.jsonl`` of StyleGAN2-ADA, StyleGAN3 and their kin, and the FID files beside it.
#
# A line holds all statistics of one tick, each as ``{"num": n, "mean": m, "std": s}``. The
# discriminator's ``Loss/D/loss`` is ``softplus(D(fake)) + softplus(-D(real))``, without R1, which
# stands apart in ``Loss/D/reg`` (NVlabs/stylegan3, training/loss.py). R3GAN writes the same names,
# with the loss of pairs and both gradient penalties.


_FID_FILES = ("metric-fid50k_full.jsonl", "metric-fid50k.jsonl")


def loss_of(names: Container[str]) -> str | None:
    """The loss of a log whose lines have these names; ``None`` where it is not of this kind."""
    if "Progress/kimg" not in names or "Loss/D/loss" not in names:
        return None
    return "relativistic" if "Loss/r2_penalty" in names else "vanilla"


def fid_scores(folder: Path) -> tuple[list[Record], str]:
    """The FIDs of the first file that is there, at the kimg of their snapshots, and its name.

    A snapshot's name has its kimg rounded down: ``network-snapshot-000200.pkl``.
    """
    for name in _FID_FILES:
        found = []
        for tree in object_lines(folder / name):
            snapshot = re.search(r"(\d+)\.pkl$", str(tree.get("snapshot_pkl")))
            results = tree.get("results")
            values = results.values() if isinstance(results, dict) else ()
            fid = score_of(next(iter(values), None))
            if snapshot and fid is not None:
                found.append(Record(float(snapshot[1]), "kimg", {"fid": fid}))
        if found:
            return found, name
    return [], ""
