"""A cluster's machines, and whether all of them can train for a search."""

from __future__ import annotations

from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from gantune import __version__
from gantune.errors import RunError
from gantune.search.engines.ray.storage import Storage

__all__ = ["alive_nodes", "check_nodes", "free_resources"]

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
            reason = str(error).strip().splitlines()[-1]
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
