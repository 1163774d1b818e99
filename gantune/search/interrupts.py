"""Ctrl-C, and the signals that end a search as it does, wait until one step of a storage is done.

Raised within one they would leave a lock behind, or vanish in a library's callback.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["held"]

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
