"""``train``: one config outside any search, with the same trainer, health, scores and files."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import torch

from gantune.config import RESOLUTIONS, TrialConfig, advice, dump_config
from gantune.data import ImageSet, resolved
from gantune.errors import CheckpointError, RunError
from gantune.events import LogFileObserver, LoggingBridge, Observer
from gantune.gan.checkpoint import Checkpoint, load_weights
from gantune.gan.device_support import fallbacks
from gantune.gan.tick import Tick
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.io.files import write_text
from gantune.io.formatting import format_value
from gantune.io.yaml_document import as_comment
from gantune.run_folder.run import RunFolder
from gantune.run_folder.stored_scores import read_score
from gantune.run_folder.trial import Start, TrialFolder, same_start, write_start
from gantune.scores import (
    Evaluator,
    Protocols,
)
from gantune.scores.protocol import check_same_protocol
from gantune.scores.text import held_out_text
from gantune.trial.builtin_run import Session, run_trial
from gantune.trial.checkpoints import differences, has_checkpoint, newest
from gantune.trial.devices import all_cores, find_devices, threads
from gantune.trial.records import Assignment, Outcome, RungReport, describe_outcome
from gantune.trial.scoring import RUNGS, load_real_images, search_yardstick


def train(
    config: TrialConfig,
    *,
    out: Path | str = "runs/train",
    resume: bool = False,
    start_from: Path | str | None = None,
    device: str = "auto",
    run: Path | str | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """Trains ``config`` to its end, or to a verdict of health, and scores its best checkpoint.

    ``out`` gets ``config.yaml``, ``ticks.jsonl``, ``scores.jsonl``, sample grids at every tenth of
    the budget, ``best.pt``, ``last.pt`` and ``log.txt``. ``resume`` goes on from ``last.pt``, with
    a longer ``kimg`` if the config has one. ``start_from``: a checkpoint whose weights, of both
    players and of the average, are taken for the first ones; optimizers and kimg begin anew. A run
    that is gone on with has them behind it, and reads the checkpoint no more. ``run``: folder of
    the search whose extractor, sample counts and stability are taken, so that scores compare with
    its own; by default the one that ``out`` lies in, if any. ``observer`` is told what happens;
    silent by default. On the CPU all cores are used.

    Raises ``RunError`` if ``out`` holds a training already and ``resume`` is not set, or one of
    another config or start and it is, ``CheckpointError`` if there is nothing to go on from, or the
    weights to start from are of other networks, and ``DataError`` or ``DeviceError`` where images
    or device cannot be had. Running out of memory is an outcome and no error.
    """
    observer = observer or Observer()
    folder, place = TrialFolder(Path(out)), torch.device(find_devices(device)[0])
    _check(folder, resume)
    with threads(all_cores()):
        with LoggingBridge(observer):
            show = partial(observer.progress, "reading images")
            real = load_real_images(config.data, RESOLUTIONS[config.network.name], show)
        images = real.learned
        config = resolved(config, images)
        if resume:
            _check_same(config, newest(folder), place, folder)
            start, weights = same_start(folder, start_from), None
        else:
            start, weights = _first_weights(start_from, config, images)
        make_folder(folder)
        with LoggingBridge(log := LogFileObserver(observer, folder.log)):
            for sentence in (*advice(config), *fallbacks(config, place)):
                log.message(sentence)
            yardstick = search_yardstick(RunFolder(Path(run) if run else folder.path.parent))
            evaluator = yardstick.evaluator(real, folder, place, log)
            if resume:
                _check_same_protocols(folder, evaluator.protocols)
            yardstick.keep(folder)
            _record(config, start, folder, log)
            assignment = Assignment("training", config, RUNGS, yardstick.stability)
            session = _Training(assignment, folder, evaluator, weights, log)
            outcome = run_trial(session, real, place)
            folder.remove_backups()
            _say_end(str(out), outcome, log)
    return outcome


class _Training(Session):
    """A session that shows its ticks and scores, and that no rank ends."""

    def __init__(
        self,
        assignment: Assignment,
        folder: TrialFolder,
        evaluator: Evaluator,
        start: Weights | None,
        observer: Observer,
    ) -> None:
        super().__init__(assignment, folder, evaluator, self._tell, start)
        self._observer = observer
        self._must_go_on = has_checkpoint(folder)

    def goes_on(self, trainer: Trainer) -> bool:
        """As any session does, but what was to go on never begins anew: it would lose a training"""
        found = super().goes_on(trainer)
        if self._must_go_on and not found:
            raise CheckpointError(
                f"{self.folder.last}: does not fit this training, which could only begin anew; "
                "train into another --out"
            )
        if found:
            self._observer.message(f"going on from {trainer.kimg:g} kimg")
        return found

    def report(self, tick: Tick) -> None:
        super().report(tick)
        self._observer.progress("training, kimg", round(tick.kimg), round(self.config.kimg))

    def _tell(self, report: RungReport) -> bool:
        score = report.score
        words = f"{score.name} {format_value(score.value)}, recall {score.recall:.2f}"
        self._observer.message(f"{report.kimg:g} kimg: {words}")
        return True


def _first_weights(
    start_from: Path | str | None, config: TrialConfig, images: ImageSet
) -> tuple[Start | None, Weights | None]:
    """Another run's weights, tried on the networks of this one before anything is written."""
    if start_from is None:
        return None, None
    weights = load_weights(start_from)
    try:
        Trainer(config.model_copy(update={"compile": False}), images, "cpu").start_from(weights)
    except CheckpointError as error:
        raise CheckpointError(f"{start_from}: {error}") from None
    return Start(str(Path(start_from).resolve()), weights.kimg), weights


def _record(config: TrialConfig, start: Start | None, folder: TrialFolder, log: Observer) -> None:
    """Writes what is trained and where it began, before it is."""
    write_start(folder, start)
    text = dump_config(config)
    if start is not None:
        log.message(f"began with {start}")
        text = f"{as_comment(f'began with {start}')}\n{text}"
    write_text(folder.config, text)


def _check_same(
    config: TrialConfig, earlier: Checkpoint, device: torch.device, folder: TrialFolder
) -> None:
    """A run may be lengthened when it goes on, but is otherwise what it was."""
    changed = differences(config, earlier.config)
    if earlier.trainer.get("device") != device.type:
        changed.append(f"device: {earlier.trainer.get('device')} -> {device.type}")
    if changed:
        raise RunError(
            f"{folder.path}: began with another config:\n  "
            + "\n  ".join(changed)
            + "\ngo on with the config as it was, or train this one into another --out"
        )


def _say_end(name: str, outcome: Outcome, log: Observer) -> None:
    log.message(describe_outcome(name, outcome))
    score = outcome.score
    if score is not None and score.held_out is not None:
        log.message(held_out_text(score.name, score.held_out))


def _check_same_protocols(folder: TrialFolder, protocols: Protocols) -> None:
    """The scores of a run that goes on pick one checkpoint, so all are of one protocol."""
    for line in folder.scores():
        earlier = read_score(folder.path, line).protocol
        now = protocols.full if line["rung"] is None else protocols.rung
        check_same_protocol(folder.path, earlier, now)


def _check(folder: TrialFolder, resume: bool) -> None:
    if resume:
        newest(folder)  # damaged ones are an error here, not a new beginning
    else:
        check_free(folder, holds_training=has_checkpoint(folder))


def check_free(folder: TrialFolder, *, holds_training: bool) -> None:
    """Raises ``RunError`` for a folder in which no training may begin: of another, or a trial's."""
    if holds_training:
        raise RunError(
            f"{folder.path}: holds a training; go on with --resume, or choose another with --out"
        )
    if any(line["rung"] != 0 for line in folder.scores()):
        raise RunError(f"{folder.path}: holds a trial; choose another folder with --out")


def make_folder(folder: TrialFolder) -> None:
    """Makes a training's folder. Raises ``RunError`` where that cannot be."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(f"{folder.path}: cannot be written ({error.strerror})") from None
