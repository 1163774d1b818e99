"""A connection to Ray: to a cluster that is there, or to one of this machine for one search."""

from __future__ import annotations

import hashlib
import logging
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from gantune.errors import RunError, first_line
from gantune.events import Observer
from gantune.io.processes import Reaper
from gantune.run_folder.run import RunFolder
from gantune.trial.devices import all_cores

_PATIENCE = 20.0  # seconds for an address to answer


_STORE = 256 << 20  # bytes for objects: little more than the extractor lies there


_LONGEST = 40  # characters of a temporary folder; paths of sockets in it end at 107


_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.CRITICAL}


_TOKEN = (
    "set RAY_AUTH_MODE=token here, and bring ~/.ray/auth_token from the machine where the cluster "
    "was started to the same place on this one, or name the copy in RAY_AUTH_TOKEN_PATH"
)


@contextmanager
def connection(
    address: str | None, threads: int, folder: RunFolder, observer: Observer
) -> Iterator[None]:
    """Ray within it, whose workers begin with so many threads.

    Without an address one is started on this machine, and ended after it.

    A program that is connected already stays so. Raises ``RunError``.
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
    environment = {"env_vars": {"OMP_NUM_THREADS": str(threads)}}
    try:
        if address is None:
            observer.message("starting Ray on this machine")
            home, before = _home(folder), set(descendants(os.getpid()))
            with _handler_kept():
                _start(home, environment)
            with reaped(home, before):
                yield
        else:
            observer.message(f"connecting to Ray at {address}")
            with _handler_kept():
                _join(address, environment)
            yield
    finally:
        ray.shutdown()
        shutil.rmtree(_home(folder), ignore_errors=True)


def _start(home: Path, environment: dict[str, Any]) -> None:
    """A Ray of this machine's; it dies with this process, however that ends."""
    import ray

    shutil.rmtree(home, ignore_errors=True)  # of a search that was killed
    try:
        ray.init(
            "local",
            num_cpus=all_cores(),
            object_store_memory=_STORE,
            include_dashboard=False,
            runtime_env=environment,
            _temp_dir=str(home),
            _system_config={"prestart_worker_first_driver": False},  # trials' have their own
            **_QUIET,
        )
    except Exception as error:
        raise RunError(
            f"Ray could not be started on this machine: {first_line(error)}; {_way_out(error)}"
        ) from error


def _way_out(error: Exception) -> str:
    if isinstance(error, OSError) or "token" in str(error):
        return (
            "it keeps a token in ~/.ray/auth_token: give it a HOME that can be written, or a "
            "file's path in RAY_AUTH_TOKEN_PATH"
        )
    return (
        "try again once the machine is less busy, and see that it has some GiB of memory free, "
        "and room in /dev/shm and in its temporary folder"
    )


def _join(address: str, environment: dict[str, Any]) -> None:
    import ray

    found = _found(address)
    _check_answers(address, found)
    begun = time.monotonic()
    try:
        with _unheard():
            ray.init(found, runtime_env=environment, **_QUIET)
    except Exception as error:
        raise _refused(address, error, time.monotonic() - begun) from error


def _found(address: str) -> str:
    """``HOST:PORT`` of an address. Raises ``RunError``."""
    if address != "auto":
        return address
    from ray._private.services import canonicalize_bootstrap_address

    try:
        found = canonicalize_bootstrap_address("auto")
    except (ConnectionError, ValueError) as error:
        raise RunError(
            f"--address auto: {first_line(error)} Start Ray here with `ray start --head`, or join "
            "a cluster with `ray start --address=HOST:6379`; without --address gantune starts a "
            "Ray of its own"
        ) from None
    return str(found)


def _check_answers(address: str, found: str) -> None:
    """Raises ``RunError`` where nothing listens: Ray itself would try for minutes."""
    host, _, port = found.rpartition(":")
    end = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=_PATIENCE).close()
            return
        except OSError as error:
            reason = error.strerror or first_line(error)
        if time.monotonic() >= end:
            raise RunError(
                f"--address {address}: no answer from {found} within {_PATIENCE:g} s ({reason}); "
                "check that `ray status` works on that machine, that the port is the one that "
                "`ray start --head --port=...` was given, and that no firewall stands between"
            )
        time.sleep(0.5)


def _refused(address: str, error: Exception, seconds: float) -> RunError:
    place, causes = f"--address {address}", f"{error} {error.__cause__}"
    if "Version mismatch" in causes:
        lines = "; ".join(line.strip() for line in str(error).splitlines() if line.strip())
        return RunError(f"{place}: {lines}; install the same Ray and Python on both sides")
    if "Unauthenticated" in causes or "authentication" in causes:
        return RunError(
            f"{place}: the cluster asks for its token, which is missing here or wrong; {_TOKEN}"
        )
    return RunError(
        f"{place}: something listens there, but Ray could not be joined within {seconds:.0f} s "
        f"({first_line(error)}); if this machine is no part of the cluster, run "
        f"`ray start --address={address}` on it first"
    )


@contextmanager
def _handler_kept() -> Iterator[None]:
    """After it SIGTERM means what it did before: Ray would have it exit, with nothing told."""
    former = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if former is not None and threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGTERM, former)


@contextmanager
def _unheard() -> Iterator[None]:
    """Within it nothing comes out of stderr, into which Ray's C++ writes a line at each try."""
    sys.stderr.flush()
    kept = os.dup(2)
    with Path(os.devnull).open("w") as nowhere:
        os.dup2(nowhere.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def _home(folder: RunFolder) -> Path:
    """Where a Ray of this run keeps its sockets and logs."""
    place = f"{os.getuid()} {folder.path.resolve()}"
    base = Path(tempfile.gettempdir())
    if len(str(base)) > _LONGEST:
        base = Path("/tmp")
    return base / f"gantune-ray-{hashlib.sha256(place.encode()).hexdigest()[:8]}"


# Ray's settings for a search: without its own words, as there is one view, gantune's.
#
# And without the command, which Ray keeps of every program that joins a cluster, and shows to all
# who look at it: a database's password may stand in it.


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


# Ends a Ray of this machine when the process that started it is killed.
#
# Most of Ray dies by itself then, but its agents first try for a minute to tell the dead of it.


_END_RAY = """
home=$1; shift
for process in "$@"; do
    grep -qs ray "/proc/$process/cmdline" && kill -s KILL "$process"
done
rm -rf -- "$home"
"""


@contextmanager
def reaped(home: Path, before: set[int]) -> Iterator[None]:
    """Within it a killed process takes with it what it has started since ``before``, and the
    folder ``home``."""
    started = [process for process in descendants(os.getpid()) if process not in before]
    reaper = Reaper(_END_RAY, str(home), *map(str, started))
    try:
        yield
    finally:
        reaper.end()


# Which processes a process has started, on Linux.


def descendants(process: int) -> list[int]:
    """All that a process has started, and they in turn, the youngest first."""
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [*descendants(child), child]
    return found
