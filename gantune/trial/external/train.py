"""``train_own``: one config of a trainer of the user's own, outside any search."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path

import torch

from gantune.config import ExternalConfig, dump_config
from gantune.data import resolved_data
from gantune.errors import CheckpointError
from gantune.events import LogFileObserver, LoggingBridge, Observer
from gantune.io.files import write_text
from gantune.io.formatting import format_value
from gantune.run_folder.run import RunFolder
from gantune.run_folder.stored_scores import read_score
from gantune.run_folder.trial import TrialFolder
from gantune.scores.protocol import Protocol, check_same_protocol
from gantune.trial.devices import all_cores, find_devices, threads
from gantune.trial.external.checkpoint_copies import holds_files, remove_backups
from gantune.trial.external.run import OwnCourse
from gantune.trial.external.score_policy import ScorePolicy
from gantune.trial.external.trainer import find_trainer, run_own_trial
from gantune.trial.records import Assignment, Outcome, RungReport, describe_outcome
from gantune.trial.scoring import RUNGS, ScoringSetup, load_real_images, search_yardstick
from gantune.trial.train import check_free, make_folder


def train_own(
    config: ExternalConfig,
    *,
    out: Path | str = "runs/train",
    resume: bool = False,
    device: str = "auto",
    run: Path | str | None = None,
    observer: Observer | None = None,
) -> Outcome:
    """Calls the config's trainer with a session that no rank ends; what it prints is not caught.

    ``out`` gets ``config.yaml``, ``ticks.jsonl``, ``scores.jsonl``, ``checkpoints/``, ``best/``,
    ``last/``, pictures of samples that were scored, and ``log.txt``. The other arguments as in
    ``gantune.train``. Raises ``RunError`` if ``out`` holds a training already and ``resume`` is not
    set, ``CheckpointError`` if it is set and there is nothing to go on from, ``TrainerError`` where
    the trainer cannot be found or does not keep to its session.
    """
    observer = observer or Observer()
    folder, place = TrialFolder(Path(out)), torch.device(find_devices(device)[0])
    trainer = find_trainer(config.trainer)
    _check(folder, resume)
    make_folder(folder)
    with threads(all_cores()), LoggingBridge(log := LogFileObserver(observer, folder.log)):
        yardstick = search_yardstick(RunFolder(Path(run) if run else folder.path.parent))
        config, measure = _measure(config, yardstick, folder, place, log)
        _check_same_protocols(folder, measure)
        assignment = Assignment("training", config, RUNGS, yardstick.stability)
        course = _Training(assignment, folder, measure, place, log)
        write_text(folder.config, dump_config(config))
        outcome = run_own_trial(course, trainer)
        remove_backups(folder.own_best)
        remove_backups(folder.own_last)
        log.message(describe_outcome(str(out), outcome))
    return outcome


class _Training(OwnCourse):
    """A course that shows its reports and scores, and that no rank ends."""

    def __init__(
        self,
        assignment: Assignment,
        folder: TrialFolder,
        measure: ScorePolicy,
        device: torch.device,
        observer: Observer,
    ) -> None:
        super().__init__(assignment, folder, measure, self._tell, device, self._show)
        self._observer = observer
        self._must_go_on = holds_files(folder.own_last)

    def goes_on(self) -> bool:
        """As any course does, but what was to go on never begins anew: it would lose a training."""
        found = super().goes_on()
        if self._must_go_on and not found:
            raise CheckpointError(
                f"{self.folder.own_last}: is of another config, or damaged, so this training could "
                "only begin anew; go on with the config as it was, or train into another --out"
            )
        if found:
            self._observer.message(f"going on from {self.kimg:g} kimg")
        return found

    def _show(self) -> None:
        self._observer.progress("training, kimg", round(self.kimg), round(self.config.kimg))

    def _tell(self, report: RungReport) -> bool:
        self._observer.message(
            f"{report.kimg:g} kimg: {report.score.name} {format_value(report.score.value)}"
        )
        return True


def _measure(
    config: ExternalConfig,
    yardstick: ScoringSetup,
    folder: TrialFolder,
    device: torch.device,
    observer: Observer,
) -> tuple[ExternalConfig, ScorePolicy]:
    """By what the run is scored: as in its search; outside any by what its trainer gives."""
    own = Protocol.own(yardstick.score_name or "score", config.trainer)
    if config.data is None or yardstick.score_name is not None:
        return config, ScorePolicy(own)
    show = partial(observer.progress, "reading images")
    real = load_real_images(config.data, progress=show)
    evaluator = yardstick.evaluator(real, folder, device, observer)
    yardstick.keep(folder)
    config = config.with_data(resolved_data(config.data, real.learned))
    measure = ScorePolicy(own, evaluator, real.learned)
    return config, replace(measure, own=None) if yardstick.is_of_search else measure


def _check_same_protocols(folder: TrialFolder, measure: ScorePolicy) -> None:
    """The scores of a run that goes on pick one checkpoint, so all are of one protocol."""
    for line in folder.scores():
        earlier, now = read_score(folder.path, line).protocol, measure.own
        if measure.evaluator is not None and not earlier.is_own:
            protocols = measure.evaluator.protocols
            now = protocols.full if line["rung"] is None else protocols.rung
        if now is not None:
            check_same_protocol(folder.path, earlier, now)


def _check(folder: TrialFolder, resume: bool) -> None:
    there = holds_files(folder.own_last)
    if resume and not there:
        raise CheckpointError(
            f"{folder.own_last}: nothing to go on from, as the trainer has written nothing into "
            "session.checkpoint_dir; train into another --out"
        )
    if not resume:
        check_free(folder, holds_training=there)
