"""A Ray on this machine for one search, which nobody else can reach.

Whoever can talk to a Ray can run code as its owner. So this one asks for a token, listens on the
loopback address, and keeps its sockets and logs in a folder that others cannot open.
"""

import hashlib
import logging
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from gantune.errors import RunError, first_line
from gantune.events import Observer
from gantune.io.processes import Reaper, descendants, environment
from gantune.run_folder.run import RunFolder
from gantune.trial.cores import available_cores

AUTH_MODE = "RAY_AUTH_MODE"
_AUTH_TOKEN = "RAY_AUTH_TOKEN"  # Ray takes it before RAY_AUTH_TOKEN_PATH and ~/.ray/auth_token
_LOOPBACK = "127.0.0.1"
_OBJECT_STORE = 256 << 20  # bytes; it holds little more than the extractor
_LONGEST_TEMP = 20  # characters of a temporary folder: paths of sockets below it end at 107

# Most of Ray dies by itself, but its agents first try for a minute to reach the dead.
_END_RAY = """
home=$1; shift
for process in "$@"; do
    grep -qs ray "/proc/$process/cmdline" && kill -s KILL "$process"
done
rm -rf -- "$home"
"""


@contextmanager
def private_ray(
    folder: RunFolder, runtime_env: dict[str, Any], observer: Observer
) -> Iterator[None]:
    """Starts a Ray for the search of ``folder`` and connects to it; both end with the block.

    If this process is killed within the block, Ray ends too. ``runtime_env``: that of
    its workers. Raises ``RunError``.
    """
    import ray

    before = set(descendants(os.getpid()))
    with ExitStack() as stack:
        home = stack.enter_context(_private_folder(folder))
        if not stack.enter_context(_fresh_token()):
            observer.message(
                f"Ray {ray.__version__} cannot ask for a token: other users of this machine can "
                "run code in it as you; install Ray 2.52 or newer"
            )
        stack.callback(ray.shutdown)
        with _on_loopback():
            _start(home / "r", runtime_env)
        started = [str(one) for one in descendants(os.getpid()) if one not in before]
        stack.callback(Reaper(_END_RAY, str(home), *started).cancel)
        yield


def _start(temp: Path, runtime_env: dict[str, Any]) -> None:
    import ray

    try:
        ray.init(
            "local",
            num_cpus=available_cores(),
            object_store_memory=_OBJECT_STORE,
            include_dashboard=False,
            runtime_env=runtime_env,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            _node_ip_address=_LOOPBACK,
            _temp_dir=str(temp),
            _system_config={"prestart_worker_first_driver": False},  # trials need workers of theirs
        )
    except Exception as error:
        raise RunError(
            f"Ray could not be started on this machine: {first_line(error)}; try again once the "
            "machine is less busy, and check that some GiB of memory are free, and that there is "
            "room in /dev/shm and in the temporary folder"
        ) from error


@contextmanager
def _private_folder(folder: RunFolder) -> Iterator[Path]:
    """A temporary folder for this run within the block, which only this user can open.

    Ray lets everybody write to the folder that it is given, so that must lie in this one.
    """
    base = Path(tempfile.gettempdir())
    if len(str(base)) > _LONGEST_TEMP:
        base = Path("/tmp")
    run = f"{os.getuid()} {folder.path.resolve()}"
    home = base / f"gantune-ray-{hashlib.sha256(run.encode()).hexdigest()[:8]}"
    shutil.rmtree(home, ignore_errors=True)  # left by a killed search
    try:
        home.mkdir(mode=0o700)
    except FileExistsError:  # somebody else's
        home = Path(tempfile.mkdtemp(prefix="gantune-ray-", dir=base))
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _fresh_token() -> Iterator[bool]:
    """Makes this process, and a Ray that it starts, ask everybody for a new token within the block.

    Yields whether this version of Ray does. The token is nowhere but in the environment of the
    processes, which other users cannot read; ``~/.ray/auth_token`` may be readable.
    """
    try:
        from ray._private.authentication.authentication_utils import is_token_auth_enabled
        from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]
    except ImportError:
        yield False
        return

    def reread() -> None:  # Ray keeps what it has read
        Config.initialize("")
        AuthenticationTokenLoader.instance().reset_cache()

    try:
        with environment({AUTH_MODE: "token", _AUTH_TOKEN: secrets.token_hex(32)}):
            reread()
            yield is_token_auth_enabled()
    finally:
        reread()


@contextmanager
def _on_loopback() -> Iterator[None]:
    """Makes a Ray that is started within the block listen on the loopback address alone.

    Ray replaces that address by the machine's, unless it is on a system whose firewall would ask.
    """
    from ray._private import ray_constants

    before, ray_constants.ENABLE_RAY_CLUSTER = ray_constants.ENABLE_RAY_CLUSTER, False
    try:
        yield
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
