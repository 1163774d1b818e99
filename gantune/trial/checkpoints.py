"""What a run of gantune's trainer goes on from, and its best weights: each with the one before it.

A checkpoint that a power cut or the disk has damaged costs one rung, not the run.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import torch

from gantune.config import TrialConfig
from gantune.errors import CheckpointError
from gantune.gan.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
    write_weights,
)
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.run_folder.trial import TrialFolder

_log = logging.getLogger(__name__)


def keep(folder: TrialFolder, trainer: Trainer, *, is_best: bool) -> None:
    """Writes ``last.pt``, then ``best.pt`` where the trainer is at its best rung.

    In that order: killed in between, a run goes on from the best rung itself. Raises ``OSError``.
    """
    save_checkpoint(folder.last, trainer, folder.previous)
    if is_best:
        save_weights(folder.best, trainer, folder.former_best)


def usable(
    folder: TrialFolder, config: TrialConfig, device: torch.device
) -> Iterator[tuple[Path, Checkpoint]]:
    """The checkpoints that a run of ``config`` may go on from, newest first.

    Those that are there and are refused are told by a warning.
    """
    for path in _there(folder):
        try:
            checkpoint = load_checkpoint(path, device)
        except CheckpointError as error:
            _log.warning("%s; not used", error)
            continue
        changed = differences(config, checkpoint.config)
        if changed:
            names = ", ".join(text.partition(":")[0] for text in changed)
            _log.warning("%s: of a run whose %s is another; not used", path, names)
            continue
        yield path, checkpoint


def newest(folder: TrialFolder) -> Checkpoint:
    """``last.pt``, or ``previous.pt`` where that is damaged or missing.

    Raises ``CheckpointError``, of ``last.pt``, where neither is whole.
    """
    refused: CheckpointError | None = None
    for path in _there(folder) or [folder.last]:
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def has_checkpoint(folder: TrialFolder) -> bool:
    """Whether there is anything to go on from, whole or damaged."""
    return bool(_there(folder))


def restore_best(folder: TrialFolder, kimg: float) -> Weights | None:
    """Makes ``best.pt`` hold the weights that the run had at ``kimg``, from whichever whole file
    has them; the weights, or ``None`` where none has."""
    for path in (folder.best, folder.former_best, folder.last, folder.previous):
        if not path.exists():
            continue
        try:
            weights = load_weights(path)
        except CheckpointError as error:
            _log.warning("%s; not used", error)
            continue
        if weights.kimg != kimg:
            continue
        if path != folder.best:
            write_weights(folder.best, weights)
        return weights
    return None


def differences(config: TrialConfig, earlier: TrialConfig) -> list[str]:
    """What keeps a run from going on: all that is not as it was, but its length."""
    now, before = (c.model_dump(exclude={"kimg"}) for c in (config, earlier))
    return [f"{key}: {before[key]} -> {now[key]}" for key in now if now[key] != before[key]]


def _there(folder: TrialFolder) -> list[Path]:
    return [path for path in (folder.last, folder.previous) if path.exists()]
