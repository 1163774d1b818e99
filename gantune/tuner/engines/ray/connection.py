"""A connection to Ray: to a running cluster, or to a Ray on this machine for one search."""

import logging
import os
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from gantune.errors import RunError, first_line
from gantune.events import Observer
from gantune.io.processes import environment
from gantune.run_folder.run import RunFolder
from gantune.tuner.engines.ray.private_ray import AUTH_MODE, private_ray

_CONNECT_TIMEOUT = 20.0  # seconds for an address to answer

_TOKEN = (
    "set RAY_AUTH_MODE=token here, and bring ~/.ray/auth_token from the machine where the cluster "
    "was started to the same place on this one, or name the copy in RAY_AUTH_TOKEN_PATH"
)

_SETTINGS = {
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_USAGE_STATS_ENABLED": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",  # the driver handles Ctrl-C
    "TUNE_GLOBAL_CHECKPOINT_S": "1000000",  # a search resumes from its study instead
    "TUNE_MAX_PENDING_TRIALS_PG": "100000",  # else workers start one by one; the engine limits them
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
}
_CHANGED_BY_RAY = (AUTH_MODE, "PYTHONBREAKPOINT", "RAY_CLIENT_MODE")


@contextmanager
def connection(
    address: str | None, threads: int, folder: RunFolder, observer: Observer
) -> Iterator[None]:
    """Connects to Ray within the block; its workers start with so many threads.

    Without an address, a Ray is started on this machine and shut down after the block. A program
    that is connected already keeps its connection. Raises ``RunError``.
    """
    import ray

    if ray.is_initialized():
        if address is not None:
            raise RunError(
                f"--address {address}: this program is connected to Ray already; leave the address "
                "out to use that connection, or call ray.shutdown() first"
            )
        yield
        return
    runtime_env = {"env_vars": {"OMP_NUM_THREADS": str(threads)}}
    with ExitStack() as stack:
        with _sigterm_restored():
            if address is None:
                observer.message("starting Ray on this machine")
                stack.enter_context(private_ray(folder, runtime_env, observer))
            else:
                observer.message(f"connecting to Ray at {address}")
                stack.callback(ray.shutdown)
                _join(address, runtime_env)
        yield


def _join(address: str, runtime_env: dict[str, Any]) -> None:
    """Joins a running cluster."""
    import ray

    place, found = f"--address {address}", address
    if address == "auto":
        from ray._private.services import canonicalize_bootstrap_address

        try:
            found = str(canonicalize_bootstrap_address("auto"))
        except (ConnectionError, ValueError) as error:
            raise RunError(
                f"{place}: {first_line(error)} Start Ray here with `ray start --head`, or join a "
                "cluster with `ray start --address=HOST:6379`; without --address gantune starts "
                "its own Ray"
            ) from None
    host, _, port = found.rpartition(":")
    attempts = Retrying(
        retry=retry_if_exception_type(OSError),
        stop=stop_after_delay(_CONNECT_TIMEOUT),
        wait=wait_fixed(0.5),
        reraise=True,
    )
    try:  # Ray itself would try for minutes where nothing listens
        attempts(socket.create_connection, (host, int(port)), _CONNECT_TIMEOUT).close()
    except OSError as error:
        raise RunError(
            f"{place}: no answer from {found} within {_CONNECT_TIMEOUT:g} s "
            f"({error.strerror or first_line(error)}); check that `ray status` works on that "
            "machine, that the port is the one that `ray start --head --port=...` was given, and "
            "that no firewall stands between"
        ) from None
    begun = time.monotonic()
    try:
        with _stderr_silenced():
            ray.init(
                found,
                runtime_env=runtime_env,
                log_to_driver=False,
                logging_level=logging.CRITICAL,
            )
    except Exception as error:
        causes = f"{error} {error.__cause__}"
        if "Version mismatch" in causes:
            lines = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
            reason = f"{lines}; install the same Ray and Python on both sides"
        elif "Unauthenticated" in causes or "authentication" in causes:
            reason = f"the cluster asks for its token, which is missing here or wrong; {_TOKEN}"
        else:
            reason = (
                "something listens there, but Ray could not be joined within "
                f"{time.monotonic() - begun:.0f} s ({first_line(error)}); if this machine is not "
                f"part of the cluster, run `ray start --address={address}` on it first"
            )
        raise RunError(f"{place}: {reason}") from error


@contextmanager
def _sigterm_restored() -> Iterator[None]:
    """Restores the handler of SIGTERM after the block: Ray's exits without a message."""
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if former is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, former)


@contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Discards stderr within the block: Ray's C++ code prints a line at each try to connect."""
    sys.stderr.flush()
    stderr = os.dup(2)
    with Path(os.devnull).open("w") as devnull:
        os.dup2(devnull.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(stderr, 2)
        os.close(stderr)


@contextmanager
def isolated() -> Iterator[None]:
    """Keeps Ray silent within the block: it prints, logs and reports nothing from this process.

    The cluster sees the process as ``gantune``, without its command line: Ray shows that to
    everybody, and a database's password may be in it. Enter the block before Ray is imported. All
    settings are restored after it.
    """
    logger = logging.getLogger("ray")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        with environment(_SETTINGS, restored=_CHANGED_BY_RAY), warnings.catch_warnings():
            warnings.filterwarnings("ignore", module=r"ray(\.|$)")
            from ray._private import utils, worker

            # Else the death of a worker is printed, though workers' output is not.
            logs_enabled, worker._worker_logs_enabled = worker._worker_logs_enabled, False
            entrypoint, utils.get_entrypoint_name = utils.get_entrypoint_name, lambda: "gantune"
            try:
                yield
            finally:
                worker._worker_logs_enabled = logs_enabled
                utils.get_entrypoint_name = entrypoint
    finally:
        logger.setLevel(level)
