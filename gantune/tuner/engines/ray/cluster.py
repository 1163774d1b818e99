"""A cluster's capacity for a search, and whether all of its machines can train for it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gantune.errors import RunError
from gantune.events import Observer
from gantune.io.formatting import last_line
from gantune.run_folder.run import RunFolder
from gantune.trial.devices import Placement
from gantune.tuner.engines.ray.connection import connection, isolated
from gantune.tuner.engines.ray.files import SharedFiles
from gantune.tuner.engines.ray.options import RayPlan, Resources, capacity, describe_cluster
from gantune.version import __version__

_TIMEOUT = 120.0  # seconds for a machine to start a process and import gantune


@contextmanager
def connected(
    plan: RayPlan, folder: RunFolder, study: str, observer: Observer
) -> Iterator[tuple[RayPlan, Placement]]:
    """Connects to Ray within the block; yields the plan with its resources, and the placement.

    A Ray that it starts is shut down after the block. Raises ``RunError`` if there is no such
    cluster, if no trial fits on it, or if one of its machines does not see the checkpoints.
    """
    threads = 1 if plan.resources is None else plan.resources.threads
    with isolated(), connection(plan.address, threads, folder, observer):
        nodes = [node["Resources"] for node in _alive_nodes()]
        observer.message(f"Ray has {describe_cluster(nodes)}")
        resources = resolve_resources(plan.resources, nodes)
        count = concurrency(resources, plan.workers, nodes)
        with _created(SharedFiles.of(plan.checkpoints, folder, study)) as storage:
            _check_nodes(storage)
            available: Any = ray.available_resources  # untyped
            free = capacity(resources, [available()])
            busy = "" if free >= count else f"; other work leaves room for {free} of them now"
            observer.message(f"each trial takes {resources}, {count} at a time{busy}")
            placement = Placement((resources.device,) * count, resources.threads)
            yield replace(plan, resources=resources), placement


@contextmanager
def _created(storage: SharedFiles) -> Iterator[SharedFiles]:
    """Creates a search's storage, and removes it however the search ends."""
    storage.create()
    try:
        yield storage
    finally:
        with suppress(OSError):
            storage.remove()


def resolve_resources(asked: Resources | None, nodes: Sequence[Mapping[str, float]]) -> Resources:
    """What each trial takes: by default one core, and one GPU if there are GPUs."""
    if asked is not None:
        return asked
    has_gpus = any(node.get("GPU", 0) >= 1 for node in nodes)
    return Resources({"CPU": 1.0, "GPU": 1.0} if has_gpus else {"CPU": 1.0})


def concurrency(
    resources: Resources, workers: int | str, nodes: Sequence[Mapping[str, float]]
) -> int:
    """How many trials run at a time. Raises ``RunError`` if fewer fit than are asked for."""
    most = capacity(resources, nodes)
    available = f"the cluster has {describe_cluster(nodes)}"
    if most == 0:
        raise RunError(
            f"--resources {resources}: no machine has room for one trial; {available}; ask for "
            "what one of them has"
        )
    if isinstance(workers, int) and workers > most:
        raise RunError(
            f"--workers {workers}: there is room for {most} trial{'s' * (most > 1)} of "
            f"{resources} at a time; {available}; lower --workers, or --resources"
        )
    return workers if isinstance(workers, int) else most


def _alive_nodes() -> list[dict[str, Any]]:
    nodes: Any = ray.nodes  # untyped
    return [node for node in nodes() if node["Alive"]]


def _check_nodes(storage: SharedFiles) -> None:
    """Raises ``RunError`` for a machine with another gantune, or that does not see the storage."""
    here = ray.get_runtime_context().get_node_id()
    others = [node for node in _alive_nodes() if node["NodeID"] != here]
    answers = {node["NodeManagerAddress"]: _ask(node["NodeID"], storage) for node in others}
    for machine, answer in answers.items():
        try:
            version, sees_storage = ray.get(answer, timeout=_TIMEOUT)
        except ray.exceptions.GetTimeoutError:
            raise RunError(
                f"{machine}: this machine of the cluster has not answered within {_TIMEOUT:g} s"
            ) from None
        except ray.exceptions.RayError as error:
            reason = last_line(str(error))
            raise RunError(
                f"{machine}: this machine of the cluster cannot run gantune ({reason}); install "
                f"gantune {__version__} in its Ray's Python"
            ) from None
        if version != __version__:
            raise RunError(
                f"{machine}: this machine of the cluster has gantune {version}, and this one has "
                f"{__version__}; install the same everywhere"
            )
        if not sees_storage:
            raise RunError(
                f"{machine}: this machine of the cluster does not see {storage.place}; name with "
                "--checkpoints a folder that all see, or a store's URL such as s3://bucket/path"
            )


def _ask(node: str, storage: SharedFiles) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    task: Any = ray.remote(_inspect)
    return task.options(num_cpus=0, scheduling_strategy=strategy).remote(storage)


def _inspect(storage: SharedFiles) -> tuple[str, bool]:
    return __version__, storage.holds("begun")
