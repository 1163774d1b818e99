"""How a checkpoint was scored where it was trained, so that it can be scored so again."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from gantune.scores.score import Protocol
from gantune.search.folder import RunFolder, TrialFolder
from gantune.search.same_protocol import read_protocol, read_score

__all__ = ["Origin", "find_origin"]


@dataclass(frozen=True)
class Origin:
    """What the final scores of one search, or of one training, were taken with."""

    extractor: Path
    """Its folder."""
    protocol: Protocol
    threads: int
    """Of the CPU: with another number the last digits are others."""


def find_origin(checkpoint: Path) -> Origin | None:
    """That of the search or training in whose folder a checkpoint lies.

    ``None`` where it lies in none, and for a training that has no final score yet. Raises
    ``RunError`` where another version wrote what is there.
    """
    home = checkpoint.resolve().parent
    search = RunFolder(home.parent.parent)  # of trials/0007/best.pt
    if search.info.exists():
        threads = search.read_info()["threads_per_worker"]
        return Origin(search.extractor, read_protocol(search), threads)
    final = [line for line in TrialFolder(home).scores() if line["rung"] is None]
    folders = (RunFolder(home.parent).extractor, home / "extractor")
    extractor = next((folder for folder in folders if folder.exists()), None)
    if not final or extractor is None:
        return None
    cores = len(os.sched_getaffinity(0))
    return Origin(extractor, read_score(home, final[-1]).protocol, cores)
