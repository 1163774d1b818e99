"""Runs a prepared search: opens its study, starts its engine, writes its run folder."""

from __future__ import annotations

import json
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from functools import partial
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from gantune.errors import RunError, disk_full_message, is_disk_full
from gantune.events import LoggingBridge, Observer
from gantune.gan.device_support import rung_fallback
from gantune.io.files import write_text
from gantune.io.validation import comma_list
from gantune.io.yaml_document import format_document
from gantune.run_folder.run import read_protocol
from gantune.scores import Protocol, Protocols, load_extractor, resolve_extractor
from gantune.scores.score import check_same_protocol, extrapolated_name
from gantune.scores.text import few_samples_text, few_to_extrapolate_text, protocol_text
from gantune.trial.pictures import draw_real_images
from gantune.trial.scoring import (
    Further,
    has_further,
    load_further,
    make_evaluator,
    make_study_protocols,
    resolve_further,
)
from gantune.tuner.driver import Driver, SearchContext
from gantune.tuner.engines.base import Task
from gantune.tuner.engines.local import LocalEngine
from gantune.tuner.prepare import Search, reach_of
from gantune.tuner.recovery import open_study, repair_journal
from gantune.tuner.state import RunState, SearchLogObserver, SearchObserver, Timing
from gantune.tuner.storage import close_storage, open_storage
from gantune.tuner.storage.lease import exclusive_driver
from gantune.tuner.storage.url import PASSWORD_VARIABLES, parse_url

if TYPE_CHECKING:
    from gantune.tuner.engines.ray.engine import RayEngine


def run_search(search: Search, observer: SearchObserver) -> RunState:
    """Runs a search to its end, or resumes one that was stopped; returns the final state.

    On ``KeyboardInterrupt`` the workers are stopped and every finished trial is kept.
    """
    folder, is_new = search.folder, not search.folder.path.exists()
    observer = SearchLogObserver(observer, folder.log)
    with folder.locked(), LoggingBridge(observer), ExitStack() as stack:
        try:
            search, engine = stack.enter_context(_connected(search, observer))
            driver, tasks = _start(search, observer, stack)
        except BaseException:
            if is_new:
                shutil.rmtree(folder.path)
            raise
        try:
            if not driver.state().is_over:
                engine(driver, tasks, observer).run()
            driver.write()
            observer.refresh(state := driver.state())
            return state
        except OSError as error:
            if is_disk_full(error):
                raise RunError(disk_full_message(error, folder.path)) from None
            if not folder.info.exists():
                raise RunError(
                    f"{folder.path}: was deleted or moved while the search ran, which has ended; "
                    "move it back and run the same command again, or start a new search"
                ) from None
            raise
        finally:
            with suppress(OSError, RunError):
                driver.close()


@contextmanager
def _connected(
    search: Search, observer: Observer
) -> Iterator[tuple[Search, Callable[..., LocalEngine | RayEngine]]]:
    """The engine, and the search with its workers' placement, which Ray knows once connected."""
    if search.ray is None:
        yield search, LocalEngine
        return
    from gantune.tuner.engines.ray.cluster import connected
    from gantune.tuner.engines.ray.engine import RayEngine

    study = search.space.study
    with connected(search.ray, search.workers, search.folder, study, observer) as (plan, placement):
        search = replace(search, ray=plan, placement=placement)
        yield search, partial(RayEngine, plan=plan)


def _start(search: Search, observer: Observer, stack: ExitStack) -> tuple[Driver, list[Task]]:
    """Every step that may be refused, before the first worker starts; see ``recovery``.

    ``stack`` closes the storage and releases the study's lease.
    """
    folder = search.folder
    observer.message(f"run folder: {folder.path}")
    if search.real is not None:
        observer.message(search.real.found)
    for sentence in reach_of(search.space):
        observer.message(sentence)
    repair_journal(folder.journal)
    storage = open_storage(folder, search.storage, observer.message)
    stack.callback(close_storage, storage)
    open_study(storage, search.space, folder)
    lease = exclusive_driver(storage, search.space.study, folder.path, observer.message)
    stack.enter_context(lease)
    earlier, preparing_before = None, 0.0
    if folder.info.exists():
        earlier, preparing_before = read_protocol(folder), folder.read_info().preparing_seconds
    start = time.perf_counter()
    protocols = _prepare_scores(search, observer)
    if earlier is not None:
        check_same_protocol(folder.path, earlier, protocols.full)
    search = search.measured(protocols, observer)
    for sentence in search.placement.measured:
        observer.message(sentence)
    preparing = preparing_before + time.perf_counter() - start
    versions = ", ".join(f"{name} {number}" for name, number in _versions().items())
    context = SearchContext(
        resolve=search.resolve,
        protocol=protocols.full.hash,
        header=f"made by: {search.command}\n{versions}\n{protocol_text(protocols.full)}",
        timing=Timing(0.0, preparing, len(search.placement.devices)),
        judges_alone=search.judges_alone,
    )
    driver = Driver(search.space, folder, storage, context)
    _write_info(search, protocols, driver.state().timing)
    if search.real is not None:
        draw_real_images(search.real.learned, folder.real)
    task = Task(
        folder=folder.path.resolve(),
        data=None if search.real is None else search.config.data,
        protocols=protocols,
        further=search.space.objective.further(),
        device="",
        threads=search.placement.threads,
        warm_up=search.config,
        withheld=PASSWORD_VARIABLES if search.storage else (),
    )
    placement = search.placement
    return driver, [
        replace(task, device=device, shares_gpu=placement.is_shared(device))
        for device in placement.devices
    ]


def _prepare_scores(search: Search, observer: Observer) -> Protocols:
    """Chooses the extractor once for the run, and caches the statistics of the real images.

    Where an external trainer gives the scores, there is nothing to prepare.
    """
    if search.real is None:
        assert search.space.own_trainer is not None
        own = Protocol.external(search.space.score_name or "score", str(search.space.own_trainer))
        observer.message(f"scores by the trainer itself: {own.score_name}, lower is better")
        return Protocols(own, own)
    folder, objective, device = search.folder, search.space.objective, search.scoring_device
    observer.message("preparing scores: the feature extractor and the real images' statistics")
    if folder.space.exists():
        extractor = load_extractor(folder.extractor, device)
    else:
        extractor = resolve_extractor(
            objective.choice(), search.real.learned, folder.extractor, device
        )
    observer.message(f"scores by {extractor.name}: {extractor.reason}")
    if search.real.held_out is not None:
        held_out = search.real.held_out
        observer.message(
            f"held out: {len(held_out):,} images that are never learned ({held_out.split})"
        )
    samples, rung_samples = objective.samples, objective.rung_samples
    protocols = make_study_protocols(extractor, search.real, objective)
    features = extractor.features
    few = few_samples_text(samples, features) or few_samples_text(rung_samples, features, "a rung")
    for text in filter(None, (few, rung_fallback(objective.rung_precision, device))):
        observer.message(text)
    make_evaluator(extractor, search.real, protocols, device, observer)
    _prepare_further(search, protocols.full, features, observer)
    return protocols


def _prepare_further(search: Search, first: Protocol, features: int, observer: Observer) -> None:
    """Chooses the extractors of further scores once for the run, and caches their statistics.

    ``features``: of the first extractor.
    """
    assert search.real is not None
    folder, scores = search.folder, search.space.objective.further()
    device, images = search.scoring_device, search.real.learned
    if not scores or not search.space.finalists.top:
        return
    if folder.space.exists() and has_further(scores, folder.extractor):
        load = partial(load_further, scores, folder.extractor, device)
    else:
        load = partial(resolve_further, scores, images, folder.extractor, device)
    further = Further(scores, load, first, search.real, device, observer)
    named = [evaluator.protocols.full.score_name for evaluator in further.evaluators]
    if scores.extrapolates:
        named.insert(0, extrapolated_name(first.score_name))
    observer.message(f"finals are also scored by {comma_list(named)}, which do not rank them")
    if scores.extrapolates and (few := few_to_extrapolate_text(first.generated, features)):
        observer.message(few)
    for evaluator in further.evaluators:
        if few := few_samples_text(first.generated, evaluator.extractor.features):
            observer.message(f"{evaluator.protocols.full.score_name}: {few}")


def _write_info(search: Search, protocols: Protocols, timing: Timing) -> None:
    """Writes ``space.yaml`` and ``run.json``, before anything is trained."""
    folder = search.folder
    write_text(folder.space, format_document(search.space.resolved_tree()))
    info: dict[str, Any] = {
        "study": search.space.study,
        "storage": None if search.storage is None else parse_url(search.storage).without_password,
        "command": search.command,
        "begun": time.time(),
        "seconds_before": timing.seconds,
        "preparing_seconds": timing.preparing_seconds,
        "workers": search.workers,
        "engine": "local" if search.ray is None else "ray",
        "resources": None if search.ray is None else str(search.ray.resources),
        "devices": search.placement.devices,
        "threads_per_worker": search.placement.threads,
        "versions": _versions(),
        "data": None if search.real is None else search.real.summary(),
        "space_hash": search.space.hash,
        "protocol_hash": protocols.full.hash,
        "protocol": asdict(protocols.full),
        "rung_protocol": asdict(protocols.rung),
    }
    write_text(folder.info, json.dumps(info, indent=2) + "\n")


def _versions() -> dict[str, str]:
    names = ("gantune", "torch", "optuna", "torchmetrics")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}
