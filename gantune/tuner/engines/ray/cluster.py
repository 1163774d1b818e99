"""A cluster's room for a search: what each trial takes, and how many there are at a time."""

from __future__ import annotations

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
from gantune.tuner.engines.ray.connection import connection, silence
from gantune.tuner.engines.ray.files import Storage
from gantune.tuner.engines.ray.options import RayPlan, Resources, describe_cluster, room
from gantune.version import __version__


@contextmanager
def connected(
    plan: RayPlan, folder: RunFolder, study: str, observer: Observer
) -> Iterator[tuple[RayPlan, Placement]]:
    """Connects to Ray and leaves it at the end; one that it started ends with it.

    The plan comes back with its resources settled. Raises ``RunError`` where there is no such
    cluster, where it has no room for a trial, and where its machines do not see the checkpoints.
    """
    threads = 1 if plan.resources is None else plan.resources.threads
    with silence(), connection(plan.address, threads, folder, observer):
        nodes = [node["Resources"] for node in alive_nodes()]
        observer.message(f"Ray has {describe_cluster(nodes)}")
        resources = settled_resources(plan.resources, nodes)
        count = places(resources, plan.workers, nodes)
        with _begun(Storage.of(plan.checkpoints, folder, study)) as storage:
            check_nodes(storage)
            free = room(resources, [free_resources()])
            held = "" if free >= count else f"; other work leaves room for {free} of them now"
            observer.message(f"each trial takes {resources}, {count} at a time{held}")
            placement = Placement((resources.device,) * count, resources.threads)
            yield replace(plan, resources=resources), placement


@contextmanager
def _begun(storage: Storage) -> Iterator[Storage]:
    """A search's storage, which goes however the search ends."""
    storage.begin()
    try:
        yield storage
    finally:
        with suppress(OSError):
            storage.end()


def settled_resources(asked: Resources | None, nodes: Sequence[Mapping[str, float]]) -> Resources:
    """What each trial takes: by default one core, and one GPU where there are GPUs."""
    if asked is not None:
        return asked
    has_gpus = any(node.get("GPU", 0) >= 1 for node in nodes)
    return Resources({"CPU": 1.0, "GPU": 1.0} if has_gpus else {"CPU": 1.0})


def places(resources: Resources, workers: int | str, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many trials run at a time. Raises ``RunError`` where fewer fit than are asked for."""
    most = room(resources, nodes)
    there = f"the cluster has {describe_cluster(nodes)}"
    if most == 0:
        raise RunError(
            f"--resources {resources}: no machine has room for one trial; {there}; ask for what "
            "one of them has"
        )
    if isinstance(workers, int) and workers > most:
        raise RunError(
            f"--workers {workers}: there is room for {most} trial{'s' * (most > 1)} of "
            f"{resources} at a time; {there}; lower --workers, or --resources"
        )
    return workers if isinstance(workers, int) else most


# A cluster's machines, and whether all of them can train for a search.


_PATIENCE = 120.0  # seconds for a machine to start a process and import gantune


def alive_nodes() -> list[dict[str, Any]]:
    """The machines of the cluster, as Ray describes them."""
    nodes: Any = ray.nodes  # untyped
    return [node for node in nodes() if node["Alive"]]


def free_resources() -> dict[str, float]:
    """What of all machines together nobody uses."""
    available: Any = ray.available_resources  # untyped
    free: dict[str, float] = available()
    return free


def check_nodes(storage: Storage) -> None:
    """Raises ``RunError`` for a machine that has another gantune, or does not see the storage."""
    here = ray.get_runtime_context().get_node_id()
    others = [node for node in alive_nodes() if node["NodeID"] != here]
    asked = {node["NodeManagerAddress"]: _ask(node["NodeID"], storage) for node in others}
    for machine, reference in asked.items():
        try:
            version, sees_storage = ray.get(reference, timeout=_PATIENCE)
        except ray.exceptions.GetTimeoutError:
            raise RunError(
                f"{machine}: this machine of the cluster has not answered within {_PATIENCE:g} s"
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


def _ask(node: str, storage: Storage) -> Any:
    strategy = NodeAffinitySchedulingStrategy(node, soft=False)
    task: Any = ray.remote(_look)
    return task.options(num_cpus=0, scheduling_strategy=strategy).remote(storage)


def _look(storage: Storage) -> tuple[str, bool]:
    return __version__, storage.holds("begun")
