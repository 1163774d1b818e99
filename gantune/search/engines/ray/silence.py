"""Ray's settings for a search: without its own words, as there is one view, gantune's.

And without the command, which Ray keeps of every program that joins a cluster, and shows to all who
look at it: a database's password may stand in it.
"""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

__all__ = ["silence"]

_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # Ctrl-C is the driver's
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # the study is what a search goes on from
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # else workers start one by one; we count the places
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
_AUTH_MODE = "RAY_AUTH_MODE"  # set by ray.init() for this process, whatever was asked for


@contextmanager
def silence() -> Iterator[None]:
    """Within it Ray prints and logs nothing here, sends nobody how it is used, and knows this
    process as ``gantune`` and no more.

    To be entered before Ray is imported. All settings come back after it.
    """
    logger = logging.getLogger("ray")
    level, before = logger.level, {name: os.environ.get(name) for name in (*_SETTINGS, _AUTH_MODE)}
    os.environ.update(_SETTINGS)
    logger.setLevel(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"ray(\.|$)")
            from ray._private import utils, worker

            # Else a worker's death is printed, though no worker's output is to be.
            was_heard, worker._worker_logs_enabled = worker._worker_logs_enabled, False
            command, utils.get_entrypoint_name = utils.get_entrypoint_name, _name
            try:
                yield
            finally:
                worker._worker_logs_enabled = was_heard
                utils.get_entrypoint_name = command
    finally:
        logger.setLevel(level)
        _restore(before)


def _name() -> str:
    return "gantune"


def _restore(environment: Mapping[str, str | None]) -> None:
    for name, value in environment.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
