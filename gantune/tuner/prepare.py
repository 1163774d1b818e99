"""Prepares a ``Search`` from a space and options, and estimates its cost; writes nothing."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gantune.config import RESOLUTIONS, AnyConfig, ExternalConfig, TrialConfig, largest_batch
from gantune.config.loss_families import loss_facts
from gantune.data import (
    ImageSet,
    check_conditional,
    check_number,
    resolved,
    resolved_data,
    unused_classes,
)
from gantune.errors import DataError, MissingSourceError, RunError, SpaceError, TrainerError
from gantune.events import LoggingBridge, Observer
from gantune.health import read_stability
from gantune.health.reach import reach_sentences
from gantune.io.trust import remember
from gantune.run_folder.run import RunFolder
from gantune.space import SearchSpace, load_space
from gantune.space.distributions import is_number
from gantune.space.rungs import steps_of
from gantune.space.tree import Leaf
from gantune.tracking.tracker import check_library
from gantune.trial.devices import find_devices
from gantune.tuner.budget import Ledger, check_budget
from gantune.tuner.engines.placement import (
    Placement,
    Probe,
    assign_workers,
    largest_config,
    measure_placement,
)
from gantune.tuner.finals.finalists import most_finalists
from gantune.tuner.options import Options, RayPlan, plan_ray
from gantune.tuner.prior import start_from_priors
from gantune.tuner.recovery import check_same_space
from gantune.tuner.storage import choose_storage
from gantune.tuner.storage.url import hide_password

if TYPE_CHECKING:
    from gantune.scores import Protocols, RealImages

_SECONDS = 2.0  # of training, to measure the speed


@dataclass(frozen=True)
class Search:
    """A search that is ready to run; nothing is written yet."""

    space: SearchSpace
    config: AnyConfig
    """Config of the first trial."""
    real: RealImages | None
    """``None`` where an external trainer gives the scores."""
    folder: RunFolder
    workers: int | Literal["auto"]
    """As requested; ``placement`` has the result."""
    placement: Placement
    """With Ray, a preliminary one until the cluster is known."""
    scoring_device: str
    """Where this process prepares scores, before the first trial."""
    storage: str | None
    command: str
    ray: RayPlan | None = None
    """``None`` with the local engine."""
    judges_alone: bool = False
    """Whether rules about pace judge each run without the others."""

    def resolve(self, config: AnyConfig) -> AnyConfig:
        """A config with the true resolution, colour and path of the data."""
        if self.real is None:
            return config
        if isinstance(config, ExternalConfig):
            assert config.data is not None
            return config.with_data(resolved_data(config.data, self.real.learned))
        return resolved(config, self.real.learned)

    def measured(self, protocols: Protocols | None, observer: Observer) -> Search:
        """The search with the best number of workers per GPU, measured if it is not settled.

        ``protocols``: how the search scores, which takes memory too; ``None`` if not known yet.
        An external trainer is not measured: it gets one worker per GPU.
        """
        config = self.config
        if self.placement.open_to < 2 or not isinstance(config, TrialConfig):
            return self
        extractor = None if protocols is None else self.folder.extractor.resolve()
        largest = largest_config(self.space, config)
        probe = Probe(config, largest, config.data, extractor, protocols)
        return replace(self, placement=measure_placement(self.placement, probe, observer))


def prepare(space: str | Path | SearchSpace, options: Options, observer: Observer) -> Search:
    """Reads space and data and finds the devices; writes only the cache of decoded images.

    Raises a ``GantuneError`` with every reason why the search cannot run.
    """
    ray, overrides = plan_ray(options), options.as_overrides()
    if isinstance(space, SearchSpace):
        if overrides:
            raise RunError(f"{', '.join(overrides)}: give overrides to load_space")
        plain_hash = space.hash_with_source
    else:
        try:
            plain_hash = load_space(space).hash_with_source
        except SpaceError:  # it may need an override to be valid
            plain_hash = ""
        space = load_space(space, overrides)
    if space.note:
        observer.message(space.note)
    space.objective.choice().remember()
    space.objective.further().remember()
    check_budget(space)
    _check_trainer(space)
    _check_trackers(space)
    devices = find_devices(options.device)
    config = space.first_config()
    real = _real_images(space, config, observer)
    if isinstance(config, TrialConfig) and real is not None:
        _check_fit(space, real.learned)
        for sentence in (*_fallbacks(space, config, devices), *_unused(space, real.learned)):
            observer.message(sentence)
    is_same = not overrides or plain_hash == space.hash_with_source
    changed = "" if is_same else f"-{space.hash_with_source[:6]}"
    folder = RunFolder(Path(options.out or Path("runs") / f"{space.study}{changed}"))
    is_new = options.out is None and not folder.path.exists()
    if is_new and real and (earlier := _run_of_moved_images(space, real.learned)):
        observer.message(
            f"{earlier.path}: has learned the same images at another place, and goes on; name "
            "another folder with --out for a new search"
        )
        folder = earlier
    check_same_space(folder, space)
    _check_same_images(folder, real)
    space = start_from_priors(space, options.prior, folder, observer.message)
    config = space.first_config()
    workers = _workers(options, folder, devices)
    search = Search(
        space=space,
        config=config,
        real=real,
        folder=folder,
        workers=workers,
        placement=_placement(space, workers, devices, ray),
        scoring_device=devices[0],
        storage=choose_storage(folder, options.storage),
        command=hide_password(options.command, options.storage),
        ray=ray,
    )
    return replace(search, config=search.resolve(config))


def _check_same_images(folder: RunFolder, real: RealImages | None) -> None:
    """Raises ``RunError``, saying what differs, where a run in the folder had other images."""
    began = folder.read_info().data if folder.info.exists() else None
    if began is None or real is None:
        return
    if changes := real.changes_since(began.model_dump()):
        raise RunError(
            f"{folder.path}: began with other images, whose scores cannot be compared: {changes}; "
            "bring them back, or choose another folder with --out"
        )


def _run_of_moved_images(space: SearchSpace, images: ImageSet) -> RunFolder | None:
    """The newest run of this space whose images have the same content, at whatever place."""
    places = [Path("runs") / space.study, *Path("runs").glob(f"{space.study}-??????")]
    found: list[tuple[float, Path]] = []
    for folder in map(RunFolder, places):
        if not folder.info.exists():
            continue
        with suppress(RunError, SpaceError):  # a damaged run is none to go on with
            info, earlier = folder.read_info(), load_space(folder.space)
            is_same = info.data is not None and info.data.content_hash == images.content_hash
            if is_same and (earlier.study, earlier.hash) == (space.study, space.hash):
                found.append((info.begun, folder.path))
    return RunFolder(max(found)[1]) if found else None


def _placement(
    space: SearchSpace,
    workers: int | Literal["auto"],
    devices: list[str],
    ray: RayPlan | None,
) -> Placement:
    if ray is None:
        most = max(space.budget.trials or os.cpu_count() or 1, most_finalists(space))
        return assign_workers(devices, workers, most)
    count = 1 if workers == "auto" else workers
    threads = 1 if ray.resources is None else ray.resources.threads
    return replace(assign_workers(devices[:1], count, count), threads=threads)


def _workers(options: Options, folder: RunFolder, devices: list[str]) -> int | Literal["auto"]:
    """The requested number, or that of the run's first start."""
    if options.workers is not None:
        return options.workers
    if not folder.info.exists():
        return "auto"
    info = folder.read_info()
    is_measured = (
        options.engine == "local"
        and info.workers == "auto"
        and devices != ["cpu"]
        and set(info.devices) == set(devices)
    )
    return len(info.devices) if is_measured else info.workers


def _check_trackers(space: SearchSpace) -> None:
    """Raises ``SpaceError`` where the library of a tracker is not installed."""
    try:
        for name in space.track:
            check_library(name)
    except RunError as error:
        raise SpaceError([space.document.problem(("track",), f"track: {error}")]) from None


def _check_trainer(space: SearchSpace) -> None:
    """Imports an external trainer, as every worker will: who names a space agrees to run what it
    names. Raises ``SpaceError``."""
    if space.own_trainer is None:
        return
    from gantune.trial.external import find_trainer, trainer_code

    remember(trainer_code(space.own_trainer))
    try:
        find_trainer(space.own_trainer)
    except TrainerError as error:
        key = "trainer" if space.command is None else "command"
        what = str(error) if space.command is None else f"command: {error}"
        problem = space.document.problem((key,), what)
        raise SpaceError([problem]) from error.__cause__


def _real_images(space: SearchSpace, config: AnyConfig, observer: Observer) -> RealImages | None:
    """The images that gantune's trainer learns and that samples are scored against."""
    if config.data is None or space.score_name is not None:
        return None
    from gantune.trial.scoring import load_real_images  # imports torch

    sizes = RESOLUTIONS[config.network.name] if isinstance(config, TrialConfig) else None
    with LoggingBridge(observer):
        show = partial(observer.progress, "reading images")
        try:
            return load_real_images(config.data, sizes, show)
        except MissingSourceError as error:
            where = space.document.problem(("trial", "data", "source"), f"data.source: {error}")
            if where.file.startswith("--"):  # an option, which the user has just typed
                raise
            raise MissingSourceError(
                f"{where}; if the images moved, name their new place with --data"
            ) from None


def _fallbacks(space: SearchSpace, config: TrialConfig, devices: list[str]) -> list[str]:
    """Sentences on what a device does not support, and what is used instead."""
    import torch

    from gantune.gan.device_support import fallbacks

    wanted = product(space.values_at("precision"), space.values_at("compile"), devices)
    found = [
        fallbacks(
            config.model_copy(update={"precision": precision, "compile": compiled}),
            torch.device(device),
        )
        for precision, compiled, device in wanted
    ]
    return list(dict.fromkeys(sentence for sentences in found for sentence in sentences))


def _unused(space: SearchSpace, images: ImageSet) -> list[str]:
    """A sentence where no trial learns the classes of the images."""
    if any(space.values_at("network.conditional")):
        return []
    return list(filter(None, [unused_classes(images, "--set network.conditional=auto")]))


def reach_of(space: SearchSpace) -> list[str]:
    """Sentences on the rules of health that act late or never in the shortest trial."""
    steps = steps_of(space.tree)
    if steps is None:
        return []
    is_builtin = space.own_trainer is None
    losses = space.values_at("loss") if is_builtin else [space.first_config().loss]
    shares = (*space.pruning.shares, 1.0)
    return reach_sentences(
        read_stability(space.stability),
        kimg=steps.kimg,
        tick_kimg=steps.tick / 1000 if is_builtin else None,
        scores=[0.0] * is_builtin + [steps.scored_at(share) / 1000 for share in shares],
        families={loss_facts(loss).family if loss else "unknown" for loss in losses},
    )


def _check_fit(space: SearchSpace, images: ImageSet) -> None:
    """Checks that the network and batch of every trial fit the images. Raises ``DataError``."""
    check_number(images)
    batch = space.largest("batch_size")
    if batch > len(images):
        raise DataError(
            f"batch_size: up to {batch:g}, but {images.source} has only {len(images)} images; "
            f"lower it, such as {_smaller_batch(space, len(images))}"
        )
    for conditional in space.values_at("network.conditional"):
        check_conditional(conditional, images)
    for name in space.values_at("network.name"):
        sizes = RESOLUTIONS[name]
        if images.is_points != (sizes is None) or (sizes and images.resolution not in sizes):
            form = "points" if images.is_points else f"{images.resolution} pixels"
            raise DataError(
                f"network.name: {name!r} cannot make {form}, the form of {images.source}; fix "
                "data.resolution or the network, such as --set network.name=dcgan"
            )


def _smaller_batch(space: SearchSpace, images: int) -> str:
    """The options that make every batch of the space fit so many images."""
    options, most = [], min(TrialConfig().batch_size, images)
    leaves: Sequence[Leaf | None] = space.tree.at(("batch_size",))
    for leaf in leaves or [None]:  # the default
        when = () if leaf is None else leaf.when
        sizes = space.tree.values_at(("batch_size",), when)
        if max(filter(is_number, sizes)) <= images:
            continue
        parts = space.tree.values_at(("accumulation",), when)
        size = largest_batch(most, parts)
        if size is None:  # no batch has so many parts
            size = most
            for other in space.tree.at(("accumulation",), when):
                options.append(f"--set {_option_path(other)}=1")
        options.append(f"--set {'batch_size' if leaf is None else _option_path(leaf)}={size}")
    return " ".join(dict.fromkeys(options))


def _option_path(leaf: Leaf) -> str:
    return ".".join(map(str, leaf.path[1:]))  # without the section ``trial``


@dataclass(frozen=True)
class Cost:
    """The cost of a search if nothing but halving stops trials early."""

    images_per_second: float
    """Speed of all workers together, measured on this machine."""
    kimg: float | None
    """Length of all trials and finalists; ``None`` where only time or patience ends the search."""

    @property
    def seconds(self) -> float | None:
        """Training time, without scoring."""
        return None if self.kimg is None else 1000 * self.kimg / self.images_per_second


def estimate_cost(search: Search) -> Cost | None:
    """The cost by the workers' measured speed, else by that of two seconds of training.

    ``None`` for an external trainer, whose speed is unknown before it reports.
    """
    config, space, placement = search.config, search.space, search.placement
    if search.real is None or isinstance(config, ExternalConfig):
        return None
    kimg = Ledger(space, (), (), 0.0, len(placement.devices)).most_kimg
    speed = placement.images_per_second or _speed(search, config) * len(placement.devices)
    return Cost(speed, kimg)


def _speed(search: Search, config: TrialConfig) -> float:
    """Images per second of one worker."""
    assert search.real is not None
    import torch

    from gantune.gan.trainer import Trainer

    torch.set_num_threads(search.placement.threads)
    device = torch.device(search.placement.devices[0])
    endless = {"tick_kimg": config.batch_size / 250, "kimg": 1_000_000.0}
    ticks = iter(Trainer(config.model_copy(update=endless), search.real.learned, device))
    kimg = first = next(ticks).kimg  # the first tick compiles kernels
    start = time.perf_counter()
    while time.perf_counter() - start < _SECONDS:
        kimg = next(ticks).kimg
    return 1000 * (kimg - first) / (time.perf_counter() - start)
