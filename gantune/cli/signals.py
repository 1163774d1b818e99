"""Signals that end a command as Ctrl-C does: of a job scheduler, and of a terminal that closes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType

__all__ = ["Came", "ended_by_signals"]

_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@dataclass
class Came:
    """Which signal has ended a command: Ctrl-C's, as long as no other came."""

    number: int = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """What a shell says of a process that the signal has ended: 130, 143 or 129."""
        return 128 + self.number


@contextmanager
def ended_by_signals() -> Iterator[Came]:
    """Within it SIGTERM and SIGHUP raise ``KeyboardInterrupt``, once; nobody catching it, the
    process ends with 128 and the signal's number. One that is ignored already, as under ``nohup``,
    stays so.

    Which it was stands in what this gives, not in the error: of that a library may make another one
    on its way, as Ray does.
    """
    came = Came()
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def end(number: int, frame: FrameType | None) -> None:
        came.number = number
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)  # workers are ended in peace
        _leave(terminals)
        raise KeyboardInterrupt(signal.Signals(number).name)

    former = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in former.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield came
    except KeyboardInterrupt:
        if came.number == signal.SIGINT:
            raise
        raise SystemExit(came.exit_code) from None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _leave(terminals: list[int]) -> None:
    """Writes to a terminal that has gone would fail; they go nowhere."""
    for number in terminals:
        if not os.isatty(number):
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), number)
