"""What a run resumes from: the protocol of a checkpoint store, and the store of state dicts.

``StateDictStore`` is for gantune's own trainer: ``last.pt`` and ``best.pt``, each beside its
predecessor. A checkpoint that a power cut or the disk damages costs one rung, not the run.
``checkpoint_files`` has the store for the files of a user's trainer.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import torch

from gantune.config import TrialConfig
from gantune.errors import CheckpointError
from gantune.gan.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    make_generator,
    save_checkpoint,
    save_weights,
    take_checkpoint,
)
from gantune.gan.sampling import sample_images
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.run_folder.trial import TrialFolder
from gantune.scores.evaluator import Sample
from gantune.space.distributions import plain
from gantune.trial.background import in_background
from gantune.trial.records import Position

_log = logging.getLogger(__name__)


class CheckpointStore(Protocol):
    """Keeps what a run resumes from, and the checkpoint of its best rung."""

    @property
    def best_sampler(self) -> Callable[[float], Sample] | None:
        """Makes a sampler of the best checkpoint, taken at a kimg; raises ``CheckpointError`` where
        it is lost. ``None`` where only the trainer itself can draw from its checkpoints."""

    @property
    def can_resume(self) -> bool:
        """Whether the last rung's checkpoint has anything to go on from."""

    @property
    def refusal(self) -> str:
        """Says that the stored run cannot be resumed, and what to do."""

    def resume_points(self) -> Iterator[Any]:
        """Usable checkpoints, newest first; each has a ``kimg``. Warns of those it refuses."""

    def restore_best(self, kimg: float) -> bool:
        """Makes the best checkpoint that of ``kimg``; warns and returns false where it is lost."""

    def load(self, point: Any) -> Position | None:
        """Loads a resume point; ``None``, with a warning, where it does not fit the trainer."""

    def clear(self) -> None:
        """Deletes what an earlier attempt left, so that the run can start from scratch."""

    def snapshot(self, position: Position) -> Any:
        """The run as it is now, at a rung, for ``save``."""

    def save(self, snapshot: Any, *, is_best: bool) -> None:
        """Saves the run as it was at a rung, or begins to. Raises ``OSError``."""

    def flush(self) -> None:
        """Waits until all that was saved is on the disk. Raises ``OSError``."""


@dataclass(frozen=True)
class _ResumePoint:
    path: Path
    checkpoint: Checkpoint

    @property
    def kimg(self) -> float:
        return self.checkpoint.kimg


class StateDictStore:
    """State dicts of gantune's own trainer, in the files of a trial folder."""

    can_resume = True

    def __init__(self, folder: TrialFolder, trainer: Trainer) -> None:
        self._folder, self._trainer = folder, trainer
        self._writing: Future[None] | None = None

    @property
    def refusal(self) -> str:
        """Says that the stored run cannot be resumed, and what to do."""
        return (
            f"{self._folder.last}: does not fit this training, which can only start from scratch; "
            "train into another --out"
        )

    def resume_points(self) -> Iterator[_ResumePoint]:
        """``last.pt``, then ``previous.pt``, where they are whole and of this config."""
        for path in _existing(self._folder):
            try:
                checkpoint = load_checkpoint(path, self._trainer.device)
            except CheckpointError as error:
                _log.warning("%s; not used", error)
                continue
            changed = config_changes(self._trainer.config, checkpoint.config)
            if changed:
                names = ", ".join(text.partition(":")[0] for text in changed)
                _log.warning("%s: from a run with another %s; not used", path, names)
                continue
            yield _ResumePoint(path, checkpoint)

    def restore_best(self, kimg: float) -> bool:
        """Makes ``best.pt`` hold the weights of ``kimg``, from whichever whole file has them."""
        if self._best_weights(kimg) is not None:
            return True
        _log.warning("%s: the weights of %g kimg are lost", self._folder.best, kimg)
        return False

    def load(self, point: _ResumePoint) -> Position | None:
        """Loads the state into the trainer; ``previous.pt`` becomes ``last.pt`` by it."""
        trainer, path = self._trainer, point.path
        try:
            trainer.load_state_dict(point.checkpoint.trainer)
        except CheckpointError as error:  # from another kind of device, or of other networks
            _log.warning("%s: %s; not used", path, error)
            return None
        if path != self._folder.last:
            _log.warning("%s resumes from the rung before", self._folder.path)
            path.replace(self._folder.last)
        return self.position()

    def position(self) -> Position:
        """Where the trainer stands."""
        return Position(self._trainer.kimg, self._trainer.step, self._trainer.seconds)

    def clear(self) -> None:
        """Deletes ``last.pt`` and all backups; ``best.pt`` stays until it is overwritten."""
        self._folder.delete_resume_state()

    def snapshot(self, position: Position) -> Checkpoint:
        """The run as it is now, at a rung, for ``save``."""
        return take_checkpoint(self._trainer)

    def save(self, snapshot: Checkpoint, *, is_best: bool) -> None:
        """Begins to write ``last.pt``, then ``best.pt`` if this is the best rung.

        In that order: a run that is killed in between resumes from the best rung itself. The first
        one is written by the end of the call, so that a run which has told of a rung can resume.
        """
        self.flush()
        is_first = not has_checkpoint(self._folder)
        self._writing = in_background(partial(_write, self._folder, snapshot, is_best=is_best))
        if is_first:
            self.flush()

    def flush(self) -> None:
        """Waits until all that was saved is on the disk. Raises ``OSError``."""
        if self._writing is not None:
            wait([self._writing])
            writing, self._writing = self._writing, None
            writing.result()

    def best_sampler(self, kimg: float) -> Sample:
        """Draws from the averaged generator in ``best.pt``. Raises ``CheckpointError``."""
        weights = self._best_weights(kimg)
        if weights is None:
            raise CheckpointError(
                f"{self._folder.best}: damaged or missing, and no other file has the weights of "
                f"{kimg:g} kimg"
            )
        generator = make_generator(weights, self._folder.best, self._trainer.device)

        def sample(count: int, rng: torch.Generator) -> torch.Tensor:
            return sample_images(generator, count, rng)

        return sample

    def _best_weights(self, kimg: float) -> Weights | None:
        """The weights of ``kimg``, which ``best.pt`` then holds; ``None`` if no file has them."""
        folder = self._folder
        for path in (folder.best, folder.best_backup, folder.last, folder.last_backup):
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
                save_weights(folder.best, weights)
            return weights
        return None


def _write(folder: TrialFolder, snapshot: Checkpoint, *, is_best: bool) -> None:
    """It is no method: its thread must not hold the trainer, whose memory others may need."""
    save_checkpoint(folder.last, snapshot, folder.last_backup)
    if is_best:
        save_weights(folder.best, snapshot.weights, folder.best_backup)


def newest_checkpoint(folder: TrialFolder) -> Checkpoint:
    """``last.pt``, or ``previous.pt`` where that is damaged or missing.

    Raises ``CheckpointError`` where there is neither, and that of ``last.pt`` where neither is
    whole.
    """
    paths = _existing(folder)
    if not paths:
        raise CheckpointError(
            f"{folder.last}: no such file, so there is nothing to resume from; leave --resume out"
        )
    refused: CheckpointError | None = None
    for path in paths:
        try:
            return load_checkpoint(path)
        except CheckpointError as error:
            refused = refused or error
    assert refused is not None
    raise refused


def has_checkpoint(folder: TrialFolder) -> bool:
    """Whether there is a checkpoint to resume from, whole or damaged."""
    return bool(_existing(folder))


def config_changes(config: TrialConfig, earlier: TrialConfig) -> list[str]:
    """All that differs between two configs but their length and the place of the images: a run
    cannot resume across it. One line for each setting: ``generator.lr: 1e-4 then, 2e-4 now``."""
    now, before = (_settings(each.model_dump(exclude={"kimg"})) for each in (config, earlier))
    for name in ("data.source", "data.class_names"):
        del now[name], before[name]

    def text(value: Any) -> str:
        return "not set" if value is None else plain(value)

    pairs = ((name, before.get(name), now.get(name)) for name in before | now)
    return [f"{name}: {text(a)} then, {text(b)} now" for name, a, b in pairs if a != b]


def _settings(tree: Mapping[str, Any], place: str = "") -> dict[str, Any]:
    """The values of a config that are set, by dotted name."""
    found: dict[str, Any] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found |= _settings(value, f"{place}{name}.")
        elif value is not None:
            found[f"{place}{name}"] = value
    return found


def _existing(folder: TrialFolder) -> list[Path]:
    return [path for path in (folder.last, folder.last_backup) if path.exists()]
