"""Processes: their lifetime, children, environment, exit codes, and signals that have to wait."""

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

_PR_SET_PDEATHSIG = 1

_SIGNAL_MEANINGS = {
    signal.SIGKILL: "ended from outside, as Linux does when memory runs out",
    signal.SIGTERM: "asked to end from outside",
    signal.SIGSEGV: "a fault in compiled code",
    signal.SIGBUS: "a fault in compiled code, or no room left in /dev/shm",
    signal.SIGABRT: "compiled code gave up",
    signal.SIGILL: "compiled code for another processor",
    signal.SIGFPE: "a fault in compiled code",
}

_DEFERRED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def die_with_parent() -> None:
    """Makes Linux kill this process as soon as its parent ends, for whatever reason."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


class Reaper:
    """Runs a shell script if this process is killed: it cleans up what would be left behind.

    The shell waits for the end of a pipe that only this process holds open. So it notices even a
    SIGKILL of this process, and then runs ``script`` with its arguments.
    """

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _\n{script}", "gantune-reaper", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    @property
    def process_id(self) -> int:
        """The id of the shell's process."""
        return self._process.pid

    def cancel(self) -> None:
        """Ends the shell without running the script: there is nothing left to clean up."""
        self._process.kill()
        self._process.communicate()


def descendants(process: int) -> list[int]:
    """Ids of all processes that a process has started, directly or not, the youngest first.

    Reads ``/proc``, so it needs Linux.
    """
    found: list[int] = []
    for path in Path(f"/proc/{process}/task").glob("*/children"):
        with suppress(OSError):
            for child in map(int, path.read_text().split()):
                found += [*descendants(child), child]
    return found


@contextmanager
def environment(changes: Mapping[str, str], restored: Iterable[str] = ()) -> Iterator[None]:
    """Sets variables of this process within the block, and restores them after it.

    ``restored``: more of them, which the block may change.
    """
    before = {name: os.environ.get(name) for name in (*changes, *restored)}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def describe_exit(code: int) -> str:
    """``exit code 3``; of a signal also its name and what it means: ``exit code -11 (SIGSEGV, a
    fault in compiled code)``."""
    names = {number.value: number for number in signal.Signals}
    number = names.get(-code)
    if number is None:
        return f"exit code {code}"
    meaning = f", {_SIGNAL_MEANINGS[number]}" if number in _SIGNAL_MEANINGS else ""
    return f"exit code {code} ({number.name}{meaning})"


@contextmanager
def defer_signals() -> Iterator[None]:
    """Defers Ctrl-C, SIGTERM and SIGHUP to the end of the block; the first is raised there, before
    any error of the block.

    Storage steps need this: a signal within one would leave a lock behind, or vanish in a library's
    callback. Does nothing outside the main thread, where Python raises no signals anyway.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        received.append(number)

    former = {number: signal.getsignal(number) for number in _DEFERRED}
    replaced = {n: h for n, h in former.items() if h is not None and h != signal.SIG_IGN}
    for number in replaced:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in replaced.items():
            signal.signal(number, handler)
        if received:
            signal.raise_signal(received[0])
