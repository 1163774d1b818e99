"""A cluster's capacity for a search, and whether all of its machines can train for it."""

from collections import Counter
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
from gantune.tuner.engines.placement import Placement
from gantune.tuner.engines.ray.connection import connection, isolated
from gantune.tuner.engines.ray.files import SharedFiles
from gantune.tuner.options import RayPlan, Resources
from gantune.version import __version__

_TIMEOUT = 120.0  # seconds for a machine to start a process and import gantune
_TINY = 1e-6  # 1 / 0.1 is a little less than 10


@contextmanager
def connected(
    plan: RayPlan, workers: int | str, folder: RunFolder, study: str, observer: Observer
) -> Iterator[tuple[RayPlan, Placement]]:
    """Connects to Ray within the block; yields the plan with its resources, and the placement.

    ``workers``: trials at a time, or ``auto``: as many as fit on the cluster. A Ray that it starts
    is shut down after the block, and the search's storage is removed. Raises ``RunError`` if there
    is no such cluster, if no trial fits on it, or if one of its machines does not see the storage.
    """
    threads = 1 if plan.resources is None else plan.resources.threads
    with isolated(), connection(plan.address, threads, folder, observer):
        get_nodes: Any = ray.nodes  # untyped
        machines = [node for node in get_nodes() if node["Alive"]]
        nodes = [node["Resources"] for node in machines]
        observer.message(f"Ray has {describe_cluster(nodes)}")
        resources = resolve_resources(plan.resources, nodes)
        count = concurrency(resources, workers, nodes)
        storage = SharedFiles(plan.checkpoints, folder, study)
        storage.create()
        try:
            _check_nodes(machines, storage)
            available: Any = ray.available_resources  # untyped
            free = capacity(resources, [available()])
            busy = "" if free >= count else f"; other work leaves room for {free} of them now"
            observer.message(f"each trial takes {resources}, {count} at a time{busy}")
            placement = Placement((resources.device,) * count, resources.threads)
            yield replace(plan, resources=resources), placement
        finally:
            with suppress(OSError):
                storage.remove()


def capacity(resources: Resources, nodes: Sequence[Mapping[str, float]]) -> int:
    """How many such trials fit on the machines of a cluster at once."""

    def room(node: Mapping[str, float], name: str, amount: float) -> int:
        available = node.get(name, 0.0)
        if name == "GPU" and amount < 1:  # no trial uses parts of two GPUs
            return int(available) * int(1 / amount + _TINY)
        return int(available / amount + _TINY)

    amounts = resources.amounts.items()
    return sum(min(room(node, name, amount) for name, amount in amounts) for node in nodes)


def describe_cluster(nodes: Sequence[Mapping[str, float]]) -> str:
    """What the machines of a cluster have: ``2 machines of 8 CPUs, 1 GPU; 1 machine of 2 CPUs,
    no GPU``."""
    kinds = Counter(map(_describe_node, nodes))
    return "; ".join(f"{n} machine{'s' * (n > 1)} of {kind}" for kind, n in kinds.items())


def _describe_node(node: Mapping[str, float]) -> str:
    cpus, gpus = node.get("CPU", 0.0), node.get("GPU", 0.0)
    parts = [f"{cpus:g} CPU{'s' * (cpus != 1)}", f"{gpus:g} GPU{'s' * (gpus != 1)}"]
    if not gpus:
        parts[1] = "no GPU"
    hidden = ("CPU", "GPU", "memory", "object_store_memory")
    custom = {name: n for name, n in node.items() if name not in hidden and ":" not in name}
    return ", ".join([*parts, *(f"{n:g} {name}" for name, n in custom.items())])


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


def _check_nodes(nodes: Sequence[Mapping[str, Any]], storage: SharedFiles) -> None:
    """Raises ``RunError`` for a machine with another gantune, or that does not see the storage."""
    task: Any = ray.remote(_inspect)
    answers = {}
    for node in nodes:
        if node["NodeID"] != ray.get_runtime_context().get_node_id():
            strategy = NodeAffinitySchedulingStrategy(node["NodeID"], soft=False)
            options = task.options(num_cpus=0, scheduling_strategy=strategy)
            answers[node["NodeManagerAddress"]] = options.remote(storage)
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


def _inspect(storage: SharedFiles) -> tuple[str, bool]:
    return __version__, storage.holds("begun")
