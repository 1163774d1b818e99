"""Why a trial on Ray has failed, in words."""

from __future__ import annotations

import re

from ray.exceptions import RayActorError, RayTaskError

from gantune.errors import DISK_FULL

__all__ = ["has_died", "is_disk_full", "traceback_text", "why_it_died"]

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def has_died(error: BaseException | None) -> bool:
    """Whether it is the worker's process that is gone, and no error of the code."""
    return isinstance(error, RayActorError)


def why_it_died(error: BaseException) -> str:
    """What is known of a worker's death."""
    if "node" in str(error).partition("\n")[0]:
        return "its machine is gone"
    return "killed, out of memory, a crash of native code, or its machine is gone"


def is_disk_full(error: BaseException | None) -> bool:
    """Whether a worker found no room to write."""
    cause = error.cause if isinstance(error, RayTaskError) else None
    return isinstance(cause, OSError) and cause.errno in DISK_FULL


def traceback_text(error: BaseException | None) -> str:
    """The error as Ray tells it, without colours."""
    return _COLOUR.sub("", str(error)) if error is not None else "an error that cannot be read here"
