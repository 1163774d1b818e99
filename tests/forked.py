"""Processes of gantune that are forked from the test's own, which has imported everything.

They start in milliseconds, where a fresh Python imports torch for seconds. For tests of what such a
process does; the tests of how it starts and is killed (``tests/tuner/engines/test_local.py``,
``tests/tuner/test_kills.py``) start it as users do.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import signal
import subprocess
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gantune.report.page import background
from gantune.trial import process, train
from gantune.tuner.engines import placement

__all__ = ["WORKER", "Forked", "fork_workers", "run_forked"]

WORKER = "gantune-worker"
"""What Linux calls a forked process of ``gantune.tuner.engines`` or of a rank: its command is the
test's."""

_IMPORTED = (
    "gantune.tuner.engines.worker",
    "gantune.trial.rank_process",
    "gantune.tuner.run",
    "gantune.report.page.page",
    "gantune.report.status",
    "torch._dynamo",
)
"""What every fork would import otherwise; torch's optimizers import the last one."""
_PR_SET_NAME = 15
_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


class Forked(subprocess.Popen[Any]):
    """``Popen([python, "-m", module, *arguments])`` that calls the module's ``main`` in a fork."""

    def _execute_child(self, args: Any, executable: Any, *rest: Any) -> None:
        (preexec_fn, _, pass_fds, cwd, env, _, _, _, *pipes) = rest[:14]
        is_session_leader = rest[19]
        for name in _IMPORTED:
            import_module(name)
        sys.stdout.flush()
        sys.stderr.flush()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # newer Pythons warn of threads, which end in the fork
            # Python drops what a signal raises within the hooks of a fork; none comes meanwhile.
            former = signal.pthread_sigmask(signal.SIG_BLOCK, _INTERRUPTS)
            try:
                self.pid = os.fork()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, former)
        if self.pid == 0:
            try:
                _take(pipes[0], pipes[3], pipes[5], pass_fds)
                if cwd is not None:
                    os.chdir(cwd)
                if env is not None:
                    os.environ.clear()
                    os.environ.update(env)
                if is_session_leader:
                    os.setsid()
                if preexec_fn is not None:
                    preexec_fn()
                code = _call(args[2], args[3:])
            except BaseException:
                traceback.print_exc()
                code = 1
            finally:
                os._exit(code)
        self._child_created = True
        self._close_pipe_fds(*pipes)  # type: ignore[attr-defined]


def run_forked(arguments: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
    """``python -m gantune`` with these arguments, to its end; it has its own standard streams."""
    command = [sys.executable, "-m", "gantune", *arguments]
    pipe = subprocess.PIPE
    with Forked(command, text=True, stdout=pipe, stderr=pipe, **options) as process:
        out, error = process.communicate(timeout=400)
    return subprocess.CompletedProcess(command, process.returncode, out, error)


def _take(stdin: int, stdout: int, stderr: int, others: Any) -> None:
    """Makes these the standard streams, and closes all that a command would not inherit."""
    given = [os.dup(fd) if fd >= 0 else None for fd in (stdin, stdout, stderr)]
    for standard, fd in enumerate(given):
        if fd is not None:
            os.dup2(fd, standard)
    kept = {0, 1, 2, *others}
    for fd in [int(path.name) for path in Path("/proc/self/fd").iterdir()]:
        if fd not in kept:
            with suppress(OSError):  # the listing's own is closed already
                os.close(fd)
    sys.stdin = os.fdopen(0, "r", closefd=False)
    sys.stdout, sys.stderr = (os.fdopen(fd, "w", 1, closefd=False) for fd in (1, 2))


def _call(module: str, arguments: list[str]) -> int:
    """Calls ``main`` as a fresh Python would, and returns the exit code."""
    atexit._clear()
    warnings.resetwarnings()
    for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGALRM, signal.SIGPIPE):
        signal.signal(number, signal.SIG_IGN if number == signal.SIGPIPE else signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if ".engines." in module or module.endswith(".rank_process"):
        ctypes.CDLL(None).prctl(_PR_SET_NAME, WORKER.encode())
    sys.argv = [module, *arguments]
    code: Any = 0
    try:
        import_module("gantune.cli" if module == "gantune" else module).main()
    except SystemExit as ended:
        code = ended.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    return code if isinstance(code, int) else 1


@contextmanager
def fork_workers() -> Iterator[None]:
    """Lets the searches of this process fork their workers and pages, and use one core.

    CUDA forbids to fork: where there is a GPU, workers start as ever.
    """
    with pytest.MonkeyPatch.context() as patch:
        for module in (placement, train):
            patch.setattr(module, "available_cores", lambda: 1)
        if not torch.cuda.is_available():
            same = {name: getattr(subprocess, name) for name in ("DEVNULL", "TimeoutExpired")}
            for user in (process, background):
                patch.setattr(user, "subprocess", SimpleNamespace(Popen=Forked, **same))
        yield
