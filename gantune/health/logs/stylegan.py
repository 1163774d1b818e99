"""``stats.jsonl`` of StyleGAN2-ADA, StyleGAN3 and their kin, and the FID files beside it.

A line holds all statistics of one tick, each as ``{"num": n, "mean": m, "std": s}``. The
discriminator's ``Loss/D/loss`` is ``softplus(D(fake)) + softplus(-D(real))``, without R1, which
stands apart in ``Loss/D/reg`` (NVlabs/stylegan3, training/loss.py). R3GAN writes the same names,
with the loss of pairs and both gradient penalties.
"""

from __future__ import annotations

import re
from collections.abc import Container
from pathlib import Path

from gantune.health.logs.beside import object_lines, score_of
from gantune.health.logs.records import Record

__all__ = ["fid_scores", "loss_of"]

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
