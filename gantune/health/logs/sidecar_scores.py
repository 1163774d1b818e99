"""Scores and configs in files beside a log: of gantune's own runs and of StyleGAN's.

A gantune trial has ``ticks.jsonl``, ``scores.jsonl`` and ``config.yaml`` in one folder.
StyleGAN2-ADA, StyleGAN3 and their descendants write ``stats.jsonl``: a line has all statistics of
one tick, each as ``{"num": n, "mean": m, "std": s}``. The discriminator's ``Loss/D/loss`` is
``softplus(D(fake)) + softplus(-D(real))`` without R1, which is in ``Loss/D/reg`` (NVlabs/stylegan3,
training/loss.py). R3GAN writes the same names, with its relativistic loss and both penalties.
"""

import math
import re
from collections.abc import Container, Iterable, Iterator, Sequence, Set
from pathlib import Path

from gantune.config import AnyConfig, load_any_config
from gantune.errors import GantuneError
from gantune.health.logs.formats import parse_object
from gantune.health.logs.numbers import number
from gantune.health.logs.records import Record

_TICK_NAMES = {"kimg", "d_real_std", "non_finite"}
_FID_FILES = ("metric-fid50k_full.jsonl", "metric-fid50k.jsonl")


def join_scores(
    records: Iterable[Record], scores: Sequence[Record], *, is_rounded: bool = False
) -> Iterator[Record]:
    """Adds each score to the record of the same place, or as a new record where there is none.

    Both are in order. ``is_rounded``: the places of the scores are rounded down to whole numbers.
    """
    due = sorted(scores, key=lambda score: score.at, reverse=True)
    for record in records:
        place = math.floor(record.at) if is_rounded else record.at
        while due and due[-1].at < place:
            yield due.pop()
        while due and due[-1].at == place:
            record = record._replace(values={**record.values, **due.pop().values})
        yield record
    yield from reversed(due)


def is_gantune_run(folder: Path, names: Set[str]) -> bool:
    """Whether lines with these names are the ticks of a gantune trial in ``folder``."""
    return names >= _TICK_NAMES or ("kimg" in names and (folder / "scores.jsonl").is_file())


def read_gantune_run(folder: Path) -> tuple[list[Record], AnyConfig | None]:
    """Reads ``scores.jsonl`` and ``config.yaml`` in ``folder``, as far as they can be read."""
    scores = []
    for tree in _read_objects(folder / "scores.jsonl"):
        kimg, value = _score(tree.get("kimg")), _score(tree.get("value"))
        # A rung of null is the final score, of other latents: it is not a point of the curve.
        if kimg is None or value is None or tree.get("rung") is None:
            continue
        values = {"score": value}
        spread = _score(tree.get("spread"))
        if spread is not None:
            values["feature_spread"] = spread
        scores.append(Record(kimg, "kimg", values))
    try:
        return scores, load_any_config(folder / "config.yaml")
    except GantuneError:
        return scores, None


def stylegan_loss(names: Container[str]) -> str | None:
    """The loss of a StyleGAN log whose lines have these names; ``None`` for other logs."""
    if "Progress/kimg" not in names or "Loss/D/loss" not in names:
        return None
    return "relativistic" if "Loss/r2_penalty" in names else "vanilla"


def read_stylegan_fids(folder: Path) -> tuple[list[Record], str]:
    """The FIDs in the first existing metric file, at the kimg of their snapshots, and its name.

    The name of a snapshot has its kimg rounded down: ``network-snapshot-000200.pkl``.
    """
    for name in _FID_FILES:
        found = []
        for tree in _read_objects(folder / name):
            snapshot = re.search(r"(\d+)\.pkl$", str(tree.get("snapshot_pkl")))
            results = tree.get("results")
            values = results.values() if isinstance(results, dict) else ()
            fid = _score(next(iter(values), None))
            if snapshot and fid is not None:
                found.append(Record(float(snapshot[1]), "kimg", {"fid": fid}))
        if found:
            return found, name
    return [], ""


def _read_objects(path: Path) -> Iterator[dict[str, object]]:
    """The JSON objects in the lines of a file; none where it cannot be read."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return
    for line in text.splitlines():
        tree = parse_object(line)
        if tree is not None:
            yield tree


def _score(value: object) -> float | None:
    """A score, or ``None``: a damaged file beside a log must not fail the diagnosis."""
    try:
        return number(value)
    except ValueError:
        return None
