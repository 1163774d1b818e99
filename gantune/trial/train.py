"""``gantune.train``: one config outside any search, with the session of a search."""

import json
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
    dump_config,
)
from gantune.config.loss_families import loss_facts
from gantune.data import ImageSet, resolved, resolved_data, unused_classes
from gantune.errors import CheckpointError, DeviceError, RunError
from gantune.events import LogFileObserver, LoggingBridge, Observer
from gantune.gan.checkpoint import load_weights
from gantune.gan.device_support import fallbacks, torch_threads
from gantune.gan.ranks import ALONE, Ranks, check_ranks
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.health import read_stability
from gantune.health.reach import reach_sentences
from gantune.health.remedies import proposals
from gantune.io.files import write_text
from gantune.io.formatting import format_value
from gantune.io.trust import remember
from gantune.io.yaml_document import as_comment
from gantune.run_folder.info import read_data_info
from gantune.run_folder.run import RunFolder, read_score
from gantune.run_folder.trial import (
    InitialWeights,
    TrialFolder,
    check_initial_weights,
    write_initial_weights,
)
from gantune.scores import RealImages
from gantune.scores.score import Protocol, check_same_protocol
from gantune.scores.text import held_out_text
from gantune.trial import builtin, external
from gantune.trial.checkpoint_files import holds_files, remove_backups
from gantune.trial.checkpoints import config_changes, has_checkpoint, newest_checkpoint
from gantune.trial.devices import available_cores, thread_count, training_devices
from gantune.trial.rank_group import train_in_group
from gantune.trial.records import (
    Assignment,
    Heartbeat,
    Outcome,
    PaceReport,
    Report,
    describe_outcome,
    no_heartbeat,
)
from gantune.trial.run import run_trial
from gantune.trial.scoring import RUNGS, ScorePolicy, ScoringSetup, load_real_images
from gantune.trial.session import Session


def train(
    config: AnyConfig,
    *,
    out: Path | str = "runs/train",
    resume: bool = False,
    start_from: Path | str | None = None,
    device: str = "auto",
    threads: int | None = None,
    run: Path | str | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """Trains ``config`` to its end, or to a verdict of health, and scores its best checkpoint.

    ``out`` gets ``config.yaml``, ``ticks.jsonl``, ``scores.jsonl``, sample grids at every tenth of
    the budget, ``best.pt``, ``last.pt`` and ``log.txt``. Your own trainer leaves ``best/``,
    ``last/`` and ``checkpoints/`` instead, and what it prints is shown. ``resume`` continues from
    ``last.pt`` (``last/``), with a longer ``kimg`` if the config has one. ``start_from``: a
    checkpoint whose weights, of both players and of the average, are the first ones; optimizers and
    kimg start from scratch. A resumed run does not read it again; your own trainer cannot use it.
    ``run``: folder of the search whose extractor, sample counts and stability are used, so that
    scores compare with its own; by default the one that ``out`` lies in. ``observer`` receives
    messages and progress; silent by default. ``device``: one, or several GPUs that share each
    batch, such as ``cuda:0,1``. ``threads``: of the CPU, by default one for each core.

    Raises ``RunError`` if ``out`` holds a training already and ``resume`` is not set, or one of
    another config or start and it is, ``CheckpointError`` if there is nothing to resume from, or
    the weights to start from are of other networks, ``DataError`` or ``DeviceError`` where images
    or device are not available, and ``TrainerError`` where your own trainer cannot be found or
    misuses its session. Running out of memory is an outcome and no error. On several devices
    ``TrainingError`` is raised where the process of one dies or hangs.
    """
    remember_trainer(config)
    return train_config(
        config,
        out=out,
        resume=resume,
        start_from=start_from,
        device=device,
        threads=threads,
        run=run,
        observer=observer,
    )


def remember_trainer(config: AnyConfig) -> None:
    """Notes the trainer of a config as one that the user has named, so that it may run."""
    if isinstance(config, ExternalConfig):
        remember(external.trainer_code(config.trainer))


def train_config(
    config: AnyConfig,
    *,
    out: Path | str,
    resume: bool,
    start_from: Path | str | None,
    device: str,
    threads: int | None,
    run: Path | str | None,
    observer: Observer | None,
) -> Outcome:
    """``train`` for a config that may be a stranger's.

    Raises ``TrustError`` for a trainer or an extractor that the user has never named.
    """
    observer, devices = observer or Observer(), training_devices(device)
    arguments: dict[str, Any] = {
        "config": config,
        "out": out,
        "resume": resume,
        "start_from": start_from,
        "threads": threads,
        "run": run,
    }
    if len(devices) == 1:
        return train_here(**arguments, device=torch.device(devices[0]), observer=observer)
    if isinstance(config, ExternalConfig):
        raise DeviceError(f"--device {device}: your own trainer shares no batches; name one device")
    check_ranks(config, len(devices), f"--device {device}")
    return train_in_group(devices, arguments, observer)


def train_here(
    config: AnyConfig,
    *,
    out: Path | str,
    resume: bool,
    start_from: Path | str | None,
    device: torch.device,
    threads: int | None,
    run: Path | str | None,
    observer: Observer,
    ranks: Ranks = ALONE,
    heartbeat: Heartbeat = no_heartbeat,
) -> Outcome:
    """``train_config`` on one device, in this process: the first of ``ranks``."""
    folder = TrialFolder(Path(out))
    source = RunFolder(Path(run) if run else folder.path.parent)
    with torch_threads(thread_count(threads, max(1, available_cores() // ranks.count))):
        with LoggingBridge(observer):
            if isinstance(config, ExternalConfig):
                plan = _plan_external(config, source, folder, resume, start_from, observer)
            else:
                plan = _plan_builtin(
                    config, source, folder, resume, start_from, device, ranks, observer
                )
        make_folder(folder)
        with LoggingBridge(log := LogFileObserver(observer, folder.log)):
            for sentence in (*plan.sentences, *_reach(plan)):
                log.message(sentence)
            policy = _policy(plan, folder, device, log)
            if resume:
                _check_protocols(folder, policy)
            _record(plan, folder, log)
            if plan.real is not None:
                log.message(plan.real.found)
            session = Session(
                Assignment("training", plan.config, RUNGS, plan.setup.stability),
                folder,
                device,
                policy,
                partial(_say_score, log),
                heartbeat,
                observer=log,
                must_resume=resume,
            )
            outcome = run_trial(plan.trainer, session)
            _remove_backups(folder)
            _say_end(str(out), plan.config, outcome, log)
    return outcome


@dataclass(frozen=True)
class _Plan:
    """What is trained, all checks passed, before anything is written."""

    config: AnyConfig
    trainer: Callable[[Any, Session], object]
    setup: ScoringSetup
    real: RealImages | None
    """``None`` where the trainer gives its own score."""
    start: InitialWeights | None = None
    sentences: tuple[str, ...] = ()
    """Advice, and what the device cannot do."""


def _reach(plan: _Plan) -> list[str]:
    """Sentences on the rules of health that act late or never in a run of this length."""
    config, is_builtin = plan.config, isinstance(plan.config, TrialConfig)
    starts_untrained = is_builtin and plan.start is None
    return reach_sentences(
        read_stability(plan.setup.stability),
        kimg=config.kimg,
        tick_kimg=config.tick_kimg if isinstance(config, TrialConfig) else None,
        scores=[0.0] * starts_untrained + [share * config.kimg for share in RUNGS],
        families=[loss_facts(config.loss).family if config.loss else "unknown"],
    )


def _plan_builtin(
    config: TrialConfig,
    source: RunFolder,
    folder: TrialFolder,
    resume: bool,
    start_from: Path | str | None,
    device: torch.device,
    ranks: Ranks,
    observer: Observer,
) -> _Plan:
    if resume:
        newest_checkpoint(folder)  # a damaged one is an error here, not a reason to start over
    else:
        _check_free(folder, holds_training=has_checkpoint(folder))
    show = partial(observer.progress, "reading images")
    real = load_real_images(config.data, RESOLUTIONS[config.network.name], show)
    config = resolved(config, real.learned)
    if resume:
        earlier = newest_checkpoint(folder)
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
    return _Plan(
        config,
        partial(builtin.train, real=real, start=weights, ranks=ranks),
        ScoringSetup.of(source),
        real,
        start,
        tuple(filter(None, sentences)),
    )


def _plan_external(
    config: ExternalConfig,
    source: RunFolder,
    folder: TrialFolder,
    resume: bool,
    start_from: Path | str | None,
    observer: Observer,
) -> _Plan:
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
        return _Plan(config, trainer, setup, None)
    real = load_real_images(config.data, progress=partial(observer.progress, "reading images"))
    if resume:
        _check_same(folder, real, [])
    config = config.with_data(resolved_data(config.data, real.learned))
    return _Plan(config, trainer, setup, real)


def _policy(
    plan: _Plan, folder: TrialFolder, device: torch.device, observer: Observer
) -> ScorePolicy:
    """How the run is scored: as in its search; outside any by what its trainer gives."""
    value, setup = None, plan.setup
    if isinstance(plan.config, ExternalConfig) and not (plan.real and setup.is_of_search):
        value = Protocol.external(setup.score_name or "score", str(plan.config.trainer))
    if plan.real is None:
        return ScorePolicy(value)
    evaluator = setup.evaluator(plan.real, folder, device, observer)
    further = setup.further(evaluator, plan.real, folder, device, observer)
    setup.keep_extractor(folder)
    return ScorePolicy(value, evaluator, plan.real.learned, further)


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


def _check_protocols(folder: TrialFolder, policy: ScorePolicy) -> None:
    """Raises ``RunError`` where a resumed run has scores of another protocol: they choose one
    checkpoint together."""
    for line in folder.scores():
        earlier, now = read_score(folder.path, line).protocol, policy.value
        if policy.evaluator is not None and not earlier.is_external:
            protocols = policy.evaluator.protocols
            now = protocols.full if line["rung"] is None else protocols.rung
        if now is not None:
            check_same_protocol(folder.path, earlier, now)


def make_folder(folder: TrialFolder) -> None:
    """Makes a training's folder. Raises ``RunError`` where that is impossible."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder.path}: cannot be written ({error.strerror}); choose another with --out"
        ) from None


def _record(plan: _Plan, folder: TrialFolder, log: Observer) -> None:
    """Writes what is trained, and from which weights, before it is."""
    write_initial_weights(folder, plan.start)
    if plan.real is not None:
        write_text(folder.data, json.dumps(plan.real.summary(), indent=2) + "\n")
    text = dump_config(plan.config)
    if plan.start is not None:
        log.message(f"began with {plan.start}")
        text = f"{as_comment(f'began with {plan.start}')}\n{text}"
    write_text(folder.config, text)


def _say_score(log: Observer, report: Report) -> bool:
    """Tells of a rung's score; a training outside a search always continues."""
    if isinstance(report, PaceReport):  # only runs with peers send one
        return True
    score = report.score
    recall = "" if score.recall is None else f", recall {score.recall:.2f}"
    log.message(f"{report.kimg:g} kimg: {score.name} {format_value(score.value)}{recall}")
    return True


def _say_end(name: str, config: AnyConfig, outcome: Outcome, log: Observer) -> None:
    log.message(describe_outcome(name, outcome))
    if outcome.verdict is not None:
        known = config if isinstance(config, TrialConfig) else None
        for proposal in proposals(outcome.verdict.rule, known):
            log.message(f"try: {proposal}")
    score = outcome.score
    if score is not None and score.held_out is not None:
        log.message(held_out_text(score.name, score.held_out))


def _remove_backups(folder: TrialFolder) -> None:
    """Deletes what is only needed while a newer checkpoint may be damaged."""
    folder.remove_backups()
    for copy in (folder.external_best, folder.external_last):
        remove_backups(copy)
