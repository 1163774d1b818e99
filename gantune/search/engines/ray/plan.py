"""``RayPlan``: what a search on Ray was asked for, checked before anything is started."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gantune.errors import RunError
from gantune.search.engines.ray.resources import Resources, parse_resources

if TYPE_CHECKING:
    from gantune.tuner.options import Options

__all__ = ["RayPlan", "plan_ray"]

_URL = re.compile(r"[a-z][a-z0-9+]*://")


@dataclass(frozen=True)
class RayPlan:
    """How a search runs on Ray."""

    address: str | None
    """``auto``, ``HOST:PORT``, or ``None``: a Ray of this machine, for this search alone."""
    resources: Resources | None
    """What each trial takes; ``None``: one core, and a GPU where the cluster has some."""
    checkpoints: str | None
    """Absolute path or URL of the folder through which checkpoints go; ``None``: ``ray/`` in the
    run folder."""
    workers: int | Literal["auto"]
    """Trials at a time; ``auto``: as many as the cluster has room for."""


def plan_ray(options: Options) -> RayPlan | None:
    """The plan of a search with ``engine="ray"``, else ``None``.

    Raises ``RunError`` for options that do not go together or cannot be read.
    """
    if options.engine == "local":
        _refuse_for_local(options)
        return None
    if options.engine != "ray":
        raise RunError(f"--engine {options.engine}: unknown; give local or ray")
    if options.device != "auto":
        raise RunError(
            f"--device {options.device}: with --engine ray a trial trains on what it takes of the "
            "cluster; say that with --resources, such as gpu=1 or cpu=2"
        )
    return RayPlan(
        address=_checked_address(options.address),
        resources=None if options.resources is None else parse_resources(options.resources),
        checkpoints=None if options.checkpoints is None else _absolute(options.checkpoints),
        workers=options.workers or "auto",
    )


def _refuse_for_local(options: Options) -> None:
    given = {
        "--address": options.address,
        "--resources": options.resources,
        "--checkpoints": options.checkpoints,
    }
    for name, value in given.items():
        if value is not None:
            raise RunError(
                f"{name} {value}: is for --engine ray, and this search runs on the local engine; "
                f"add --engine ray, or leave {name} out"
            )


def _checked_address(address: str | None) -> str | None:
    if address is None or address == "auto":
        return address
    if address.startswith("ray://"):
        raise RunError(
            f"--address {address}: is of Ray's client, which gantune does not use; run the command "
            "on a machine of the cluster and give --address auto, or its HOST:PORT (6379, not "
            "10001)"
        )
    host, colon, port = address.rpartition(":")
    if not (host and colon and port.isdigit()):
        raise RunError(f"--address {address}: write auto, or HOST:PORT such as 10.0.0.1:6379")
    return address


def _absolute(place: str | Path) -> str:
    text = str(place)
    return text if _URL.match(text) else str(Path(text).expanduser().resolve())
