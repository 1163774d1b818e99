"""``Watch``: ends its own process when what it does has given no sign of life for too long."""

from __future__ import annotations

import faulthandler
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from gantune.tuner.engines.ray.connection import descendants

_LOOK = 0.25  # seconds from one look to the next


_GRACE = 10.0  # seconds more for one that holds the interpreter, so that nobody here can look


class Watch:
    """Counts silence while a trial trains or a worker makes itself ready, on a thread of its own.

    Nobody outside the process can: Ray's actors have no line on which to beat. Code that holds the
    interpreter all the while stops that thread too: then ``faulthandler``, which needs none, ends
    the process.
    """

    def __init__(self, limit: float) -> None:
        self._usual, self._limit, self._silence, self._is_on = limit, limit, 0.0, False
        self._before_end: Callable[[float], None] = _nothing
        threading.Thread(target=self._look, daemon=True).start()

    def beat(self) -> None:
        """A sign of life."""
        self._silence = 0.0

    @contextmanager
    def over(self, before_end: Callable[[float], None], at_least: float = 0.0) -> Iterator[None]:
        """While silence counts, in which ``at_least`` so many seconds are allowed for, however
        short the limit. ``before_end`` is called with them before the process is ended."""
        self._limit = max(self._usual, at_least)
        self._before_end, self._silence, self._is_on = before_end, 0.0, True
        try:
            yield
        finally:
            self._is_on = False

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While the trial waits for an answer, which is not its own silence."""
        self._is_on = False
        try:
            yield
        finally:
            self._silence, self._is_on = 0.0, True

    def _look(self) -> None:
        with Path(os.devnull).open("w") as nowhere:
            self._wait_for_silence(nowhere)
        with suppress(Exception):  # it is to end, whether that can be told or not
            self._before_end(self._limit)
        for process in (*descendants(os.getpid()), os.getpid()):
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)

    def _wait_for_silence(self, nowhere: TextIO) -> None:
        before = time.monotonic()
        while self._silence <= self._limit:
            if self._is_on:
                faulthandler.dump_traceback_later(self._limit + _GRACE, exit=True, file=nowhere)
            else:
                faulthandler.cancel_dump_traceback_later()
            time.sleep(_LOOK)
            now = time.monotonic()
            # However long this process itself was held up, nobody is blamed for it.
            passed, before = min(now - before, 4 * _LOOK), now
            self._silence = self._silence + passed if self._is_on else 0.0


def _nothing(limit: float) -> None:
    pass
