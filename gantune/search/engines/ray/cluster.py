"""A cluster's room for a search: what each trial takes, and how many there are at a time."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

from gantune.errors import RunError
from gantune.events import Watcher
from gantune.run_folder.run import RunFolder
from gantune.search.devices import Placement
from gantune.search.engines.ray.connection import connection
from gantune.search.engines.ray.plan import RayPlan
from gantune.search.engines.ray.resources import Resources, describe_cluster, room
from gantune.search.engines.ray.silence import silence
from gantune.search.engines.ray.storage import Storage

__all__ = ["connected", "places", "settled_resources"]


@contextmanager
def connected(
    plan: RayPlan, folder: RunFolder, study: str, watcher: Watcher
) -> Iterator[tuple[RayPlan, Placement]]:
    """Connects to Ray and leaves it at the end; one that it started ends with it.

    The plan comes back with its resources settled. Raises ``RunError`` where there is no such
    cluster, where it has no room for a trial, and where its machines do not see the checkpoints.
    """
    threads = 1 if plan.resources is None else plan.resources.threads
    with silence(), connection(plan.address, threads, folder, watcher):
        from gantune.search.engines.ray.nodes import alive_nodes, check_nodes, free_resources

        nodes = [node["Resources"] for node in alive_nodes()]
        watcher.say(f"Ray has {describe_cluster(nodes)}")
        resources = settled_resources(plan.resources, nodes)
        count = places(resources, plan.workers, nodes)
        with _begun(Storage.of(plan.checkpoints, folder, study)) as storage:
            check_nodes(storage)
            free = room(resources, [free_resources()])
            held = "" if free >= count else f"; other work leaves room for {free} of them now"
            watcher.say(f"each trial takes {resources}, {count} at a time{held}")
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
