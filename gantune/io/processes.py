"""A process that ends with the one that started it."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PR_SET_PDEATHSIG = 1


def die_with_parent() -> None:
    """Asks Linux to end this process with the one that started it, however that ends."""
    parent = os.getppid()
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            os._exit(1)


# ``Reaper``: cleans up after this process, should it be killed.


class Reaper:
    """A shell that waits for the end of a pipe that this process alone holds; so it outlives even a
    killed one, and runs ``script`` with its arguments then."""

    def __init__(self, script: str, *arguments: str) -> None:
        self._process = subprocess.Popen(
            ["/bin/sh", "-c", f"read -r _\n{script}", "gantune-reaper", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """Ends it: there is nothing left to clean up."""
        self._process.kill()
        self._process.communicate()


# How a worker ended, in words.


_MEANING = {
    signal.SIGKILL: "ended from outside, as Linux does when memory runs out",
    signal.SIGTERM: "asked to end from outside",
    signal.SIGSEGV: "a fault in compiled code",
    signal.SIGBUS: "a fault in compiled code, or no room left in /dev/shm",
    signal.SIGABRT: "compiled code gave up",
    signal.SIGILL: "compiled code for another processor",
    signal.SIGFPE: "a fault in compiled code",
}


def exit_words(code: int) -> str:
    """``exit code 3``; of a signal also its name and what it means: ``exit code -11 (SIGSEGV, a
    fault in compiled code)``."""
    names = {number.value: number for number in signal.Signals}
    number = names.get(-code)
    if number is None:
        return f"exit code {code}"
    words = f"{number.name}, {_MEANING[number]}" if number in _MEANING else number.name
    return f"exit code {code} ({words})"


# Ctrl-C, and the signals that end a search as it does, wait until one step of a storage is done.
#
# Raised within one they would leave a lock behind, or vanish in a library's callback.


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def held() -> Iterator[None]:
    """Within it the signals wait; the first that came is raised at its end, before an error is.

    Elsewhere than in the main thread, where Python never raises them, it does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []

    def wait(number: int, frame: FrameType | None) -> None:
        came.append(number)

    former = {number: signal.getsignal(number) for number in _SIGNALS}
    heeded = {n: h for n, h in former.items() if h is not None and h != signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in heeded.items():
            signal.signal(number, handler)
        if came:
            signal.raise_signal(came[0])
