"""How a checkpoint was scored where it was trained, so that it can be scored so again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from gantune.errors import ScoreError
from gantune.run_folder.run import RunFolder
from gantune.run_folder.stored_scores import read_protocol, read_score
from gantune.run_folder.trial import TrialFolder
from gantune.scores import load_extractor
from gantune.scores.features import Extractor
from gantune.scores.protocol import Protocol
from gantune.scores.sample_sources import GeneratorSamples, Samples
from gantune.trial.devices import all_cores

__all__ = ["Origin", "common_extractor", "find_origin"]


@dataclass(frozen=True)
class Origin:
    """How the final scores of one search, or of one training, were taken."""

    protocol: Protocol
    threads: int
    """Of the CPU: with another number the last digits are others."""


def find_origin(checkpoint: Path) -> Origin | None:
    """That of the search or training in whose folder a checkpoint lies.

    ``None`` where it lies in none, and for a training that has no final score yet. Raises
    ``RunError`` where another version wrote what is there.
    """
    home = TrialFolder(checkpoint.resolve().parent)
    search = RunFolder(home.path.parent.parent)  # of trials/0007/best.pt
    if search.info.exists() and not home.extractor.exists():
        protocol = read_protocol(search)
        return Origin(protocol, search.read_info()["threads_per_worker"])
    final = [line for line in home.scores() if line["rung"] is None]
    if not final:
        return None
    return Origin(read_score(home.path, final[-1]).protocol, all_cores())


def common_extractor(
    entries: Sequence[Samples], device: torch.device
) -> tuple[Path, Extractor] | None:
    """The extractor by which all checkpoints were scored where they were trained, with its folder.

    ``None`` where none of them lies in a run that has one; those that lie in none have no say.
    Raises ``ScoreError`` where they were scored by two.
    """
    common: tuple[Path, Extractor] | None = None
    whose, seen = "", set()
    for entry in entries:
        folder = _find_extractor(entry.path) if isinstance(entry, GeneratorSamples) else None
        if folder is None or folder in seen:
            continue
        seen.add(folder)
        extractor = load_extractor(folder, device)
        if common is None:
            common, whose = (folder, extractor), entry.name
        elif _identity(common[1]) != _identity(extractor):
            raise ScoreError(
                f"{whose} was scored by {common[1].name} ({common[0]}), {entry.name} by "
                f"{extractor.name} ({folder}); name one for all of them with --extractor"
            )
    return common


def _find_extractor(checkpoint: Path) -> Path | None:
    """The folder of the extractor by which the run scored that a checkpoint lies in.

    A training has its own, unless it lies in the folder of the search whose it took.
    """
    home = checkpoint.resolve().parent
    runs = TrialFolder(home), RunFolder(home.parent.parent), RunFolder(home.parent)
    return next((run.extractor for run in runs if run.extractor.exists()), None)


def _identity(extractor: Extractor) -> tuple[str, str, str]:
    return extractor.name, extractor.weights_hash, extractor.resize
