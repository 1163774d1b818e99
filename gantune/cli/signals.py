"""Signals that end a command as Ctrl-C does: of a job scheduler, and of a terminal that closes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Ended", "ended_by_signals", "exit_code"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


class Ended(KeyboardInterrupt):
    """Raised where the process was when such a signal came."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.number = number


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Within it SIGTERM and SIGHUP raise ``Ended``, once; nobody catching it, the process ends with
    128 and the signal's number. One that is ignored already, as under ``nohup``, stays so."""
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def end(number: int, frame: FrameType | None) -> None:
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)  # workers are ended in peace
        _leave(terminals)
        raise Ended(number)

    former = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in former.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield
    except Ended as ended:
        raise SystemExit(exit_code(ended)) from None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def exit_code(error: KeyboardInterrupt) -> int:
    """What a shell says of a process that a signal has ended: 130, 143 or 129."""
    return 128 + (error.number if isinstance(error, Ended) else signal.SIGINT)


def _leave(terminals: list[int]) -> None:
    """Writes to a terminal that has gone would fail; they go nowhere."""
    for number in terminals:
        if not os.isatty(number):
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), number)
