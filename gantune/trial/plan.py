"""What a training outside a search trains, and how it is scored: checked before it begins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gantune.config import (
    RESOLUTIONS,
    AnyConfig,
    Command,
    ExternalConfig,
    TrialConfig,
    advice,
)
from gantune.config.loss_families import loss_facts
from gantune.data import ImageSet, resolved, resolved_data, unused_classes
from gantune.errors import CheckpointError, RunError
from gantune.events import Observer
from gantune.gan.checkpoint import load_weights
from gantune.gan.device_support import fallbacks
from gantune.gan.ranks import Ranks
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.health import read_stability
from gantune.health.reach import reach_sentences
from gantune.run_folder.info import read_data_info
from gantune.run_folder.run import RunFolder, read_score
from gantune.run_folder.trial import InitialWeights, TrialFolder, check_initial_weights
from gantune.scores import RealImages
from gantune.scores.score import Protocol, check_same_protocol
from gantune.trial import builtin, external
from gantune.trial.checkpoint_files import holds_files
from gantune.trial.checkpoints import config_changes, has_checkpoint, newest_checkpoint
from gantune.trial.scoring import RUNGS, ScorePolicy, ScoringSetup, load_real_images
from gantune.trial.session import Session


@dataclass(frozen=True)
class Plan:
    """What is trained, all checks passed, before anything is written."""

    config: AnyConfig
    trainer: Callable[[Any, Session], object]
    setup: ScoringSetup
    real: RealImages | None
    """``None`` where the trainer gives its own score."""
    start: InitialWeights | None = None
    sentences: tuple[str, ...] = ()
    """Advice, and what the device cannot do."""

    @property
    def reach(self) -> list[str]:
        """Sentences on the rules of health that act late or never in a run of this length."""
        config, is_builtin = self.config, isinstance(self.config, TrialConfig)
        starts_untrained = is_builtin and self.start is None
        return reach_sentences(
            read_stability(self.setup.stability),
            kimg=config.kimg,
            tick_kimg=config.tick_kimg if isinstance(config, TrialConfig) else None,
            scores=[0.0] * starts_untrained + [share * config.kimg for share in RUNGS],
            families=[loss_facts(config.loss).family if config.loss else "unknown"],
        )

    def score_policy(
        self, folder: TrialFolder, device: torch.device, observer: Observer
    ) -> ScorePolicy:
        """How the run is scored: as in its search; outside any by what its trainer gives."""
        value, setup = None, self.setup
        if isinstance(self.config, ExternalConfig) and not (self.real and setup.is_of_search):
            value = Protocol.external(setup.score_name or "score", str(self.config.trainer))
        if self.real is None:
            return ScorePolicy(value)
        evaluator = setup.evaluator(self.real, folder, device, observer)
        further = setup.further(evaluator, self.real, folder, device, observer)
        setup.keep_extractor(folder)
        return ScorePolicy(value, evaluator, self.real.learned, further)


def plan_builtin(
    config: TrialConfig,
    source: RunFolder,
    folder: TrialFolder,
    resume: bool,
    start_from: Path | str | None,
    device: torch.device,
    ranks: Ranks,
    observer: Observer,
) -> Plan:
    """The training of gantune's own trainer: images and networks are read and tried.

    ``source``: the folder of the search whose scores it compares with. ``folder``: that of the
    training. The other arguments and the errors are those of ``train``.
    """
    earlier = None
    if resume:
        earlier = newest_checkpoint(folder)  # a damaged one is an error, no reason to start over
    else:
        _check_free(folder, holds_training=has_checkpoint(folder))
    show = partial(observer.progress, "reading images")
    real = load_real_images(config.data, RESOLUTIONS[config.network.name], show)
    config = resolved(config, real.learned)
    if earlier is not None:
        changed = config_changes(config, earlier.config)
        if earlier.trainer.get("device") != device.type:
            changed.append(f"device: {earlier.trainer.get('device')} then, {device.type} now")
        _check_same(folder, real, changed)
        start, weights = check_initial_weights(folder, start_from), None
    else:
        start, weights = _first_weights(start_from, config, real.learned)
    sentences = [*advice(config), *fallbacks(config, device)]
    if not config.network.conditional:
        sentences.append(unused_classes(real.learned, "network: {conditional: auto}"))
    if ranks.count > 1:
        share = config.batch_size // ranks.count
        sentences.append(f"{ranks.count} devices share each batch, {share} images each")
    return Plan(
        config,
        partial(builtin.train, real=real, start=weights, ranks=ranks),
        ScoringSetup.of(source),
        real,
        start,
        tuple(filter(None, sentences)),
    )


def plan_external(
    config: ExternalConfig,
    source: RunFolder,
    folder: TrialFolder,
    resume: bool,
    start_from: Path | str | None,
    observer: Observer,
) -> Plan:
    """The same for the user's trainer, which is found and not called."""
    trainer = partial(external.train, trainer=external.find_trainer(config.trainer))
    if start_from is not None:
        raise RunError(f"{start_from}: your own trainer cannot start from it; load it yourself")
    if not resume:
        _check_free(folder, holds_training=holds_files(folder.external_last))
    elif isinstance(config.trainer, Command) and config.trainer.resume is None:
        raise CheckpointError(
            f"{folder.path}: the command has no resume:, so it can only start from scratch; train "
            "into another --out"
        )
    elif not holds_files(folder.external_last):
        raise CheckpointError(
            f"{folder.external_last}: nothing to resume from, as the trainer has written nothing "
            "into session.checkpoint_dir; train into another --out"
        )
    setup = ScoringSetup.of(source)
    if config.data is None or setup.score_name is not None:
        return Plan(config, trainer, setup, None)
    real = load_real_images(config.data, progress=partial(observer.progress, "reading images"))
    if resume:
        _check_same(folder, real, [])
    config = config.with_data(resolved_data(config.data, real.learned))
    return Plan(config, trainer, setup, real)


def _first_weights(
    start_from: Path | str | None, config: TrialConfig, images: ImageSet
) -> tuple[InitialWeights | None, Weights | None]:
    """Another run's weights, tried on the networks of this one before anything is written."""
    if start_from is None:
        return None, None
    weights = load_weights(start_from)
    try:
        Trainer(config.model_copy(update={"compile": False}), images, "cpu").start_from(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{start_from}: {error}") from None
    return InitialWeights(str(Path(start_from).resolve()), weights.kimg), weights


def _check_free(folder: TrialFolder, *, holds_training: bool) -> None:
    """Raises ``RunError`` where a new training would overwrite another one, or a trial."""
    if holds_training:
        raise RunError(
            f"{folder.path}: holds a training; resume it with --resume, or choose another folder "
            "with --out"
        )
    if any(line["rung"] != 0 for line in folder.scores()):
        raise RunError(f"{folder.path}: holds a trial; choose another folder with --out")


def _check_same(folder: TrialFolder, real: RealImages, changed: Sequence[str]) -> None:
    """Raises ``RunError`` where a resumed run would be more than lengthened: where it began with
    other images or other settings.

    The same content at a new place is the same data. ``changed``: a line for each setting.
    """
    images = ""
    if folder.data.exists():
        images = real.changes_since(read_data_info(folder.data).model_dump())
    if images and not changed:
        raise RunError(
            f"{folder.path}: began with other images: {images}; bring them back (--data names a "
            "new place), or train into another --out"
        )
    if changed:
        lines = [f"images: {images}", *changed] if images else changed
        raise RunError(
            f"{folder.path}: began with another config:\n  "
            + "\n  ".join(lines)
            + "\nresume with the config and images as they were, or train this into another --out"
        )


def check_protocols(folder: TrialFolder, policy: ScorePolicy) -> None:
    """Raises ``RunError`` where a resumed run has scores of another protocol: they choose one
    checkpoint together."""
    for line in folder.scores():
        earlier, now = read_score(folder.path, line).protocol, policy.value
        if policy.evaluator is not None and not earlier.is_external:
            protocols = policy.evaluator.protocols
            now = protocols.full if line["rung"] is None else protocols.rung
        if now is not None:
            check_same_protocol(folder.path, earlier, now)
