"""How a worker ended, in words."""

from __future__ import annotations

import signal

__all__ = ["duration", "exit_words"]

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


def duration(seconds: float) -> str:
    """``10m``, ``90s``."""
    is_whole = seconds >= 60 and seconds % 60 == 0
    return f"{seconds / 60:g}m" if is_whole else f"{seconds:g}s"
