"""``gantune.train``: one config outside any search, with the session of a search."""

import json
from functools import partial
from pathlib import Path
from typing import Any

import torch

from gantune.config import AnyConfig, ExternalConfig, TrialConfig, dump_config
from gantune.errors import DeviceError, RunError
from gantune.events import LogFileObserver, LoggingBridge, Observer
from gantune.gan.device_support import torch_threads
from gantune.gan.ranks import ALONE, Ranks, check_ranks
from gantune.health.remedies import proposals
from gantune.io.files import write_text
from gantune.io.formatting import format_value
from gantune.io.trust import remember
from gantune.io.yaml_document import as_comment
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder, write_initial_weights
from gantune.scores.text import held_out_text
from gantune.trial import external
from gantune.trial.checkpoint_files import remove_backups
from gantune.trial.cores import SharedCores, available_cores, may_change_threads, thread_count
from gantune.trial.devices import training_devices
from gantune.trial.plan import Plan, check_protocols, plan_builtin, plan_external
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
from gantune.trial.scoring import RUNGS
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
    batch, such as ``cuda:0,1``. ``threads``: of the CPU, by default what ``OMP_NUM_THREADS`` says,
    else one for each core that other processes leave free, so that the number may change.

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
    with torch_threads(thread_count(threads, available_cores(), ranks.count)):
        with LoggingBridge(observer):
            if isinstance(config, ExternalConfig):
                plan = plan_external(config, source, folder, resume, start_from, observer)
            else:
                plan = plan_builtin(
                    config, source, folder, resume, start_from, device, ranks, observer
                )
        _make_folder(folder)
        with LoggingBridge(log := LogFileObserver(observer, folder.log)):
            for sentence in (*plan.sentences, *plan.reach):
                log.message(sentence)
            policy = plan.score_policy(folder, device, log)
            if resume:
                check_protocols(folder, policy)
            _record(plan, folder, log)
            if plan.real is not None:
                log.message(plan.real.found)
            beat = heartbeat
            is_ours = isinstance(config, TrialConfig) and device.type == "cpu" and ranks is ALONE
            if is_ours and may_change_threads(threads):
                cores = SharedCores(torch.get_num_threads(), log)
                beat = cores.look
            session = Session(
                Assignment("training", plan.config, RUNGS, plan.setup.stability),
                folder,
                device,
                policy,
                partial(_say_score, log),
                beat,
                observer=log,
                must_resume=resume,
            )
            outcome = run_trial(plan.trainer, session)
            _remove_backups(folder)
            _say_end(str(out), plan.config, outcome, log)
    return outcome


def _make_folder(folder: TrialFolder) -> None:
    """Makes a training's folder. Raises ``RunError`` where that is impossible."""
    try:
        folder.path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunError(
            f"{folder.path}: cannot be written ({error.strerror}); choose another with --out"
        ) from None


def _record(plan: Plan, folder: TrialFolder, log: Observer) -> None:
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
