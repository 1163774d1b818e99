"""Patience with a server that is away: what is asked of it is asked again for a while."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import TypeVar

from gantune.errors import RunError
from gantune.io.processes import held

__all__ = ["Away", "Patience", "Terms"]

_LONGEST_PAUSE = 5.0  # seconds from one try to the next

T = TypeVar("T")


class Away(Exception):
    """A server does not answer for now; its text says why, without a password."""


@dataclass(frozen=True)
class Terms:
    """How long a server is waited for, and what the user is told after that."""

    seconds: float
    remedy: str
    pause: float = 0.2
    """Seconds before the second try; every other pause is twice the one before."""


class Patience:
    """Tries operations on one server until they succeed, the time is over, or it is interrupted.

    ``name``: the server as it may be shown. ``say`` is told once when it is away and once when it
    is back. After giving up it tries everything once only: what ends a search does not wait again.
    """

    def __init__(self, name: str, terms: Terms, say: Callable[[str], None]) -> None:
        self._name, self._terms, self._say = name, terms, say
        self._has_given_up = False

    def keep_trying(self, operation: Callable[[int], T]) -> T:
        """What ``operation`` gives; its argument counts the tries from 0.

        Raises ``RunError`` once the server has been ``Away`` for too long.
        """
        begun = time.monotonic()
        for attempt in count():
            try:
                with held():
                    result = operation(attempt)
            except Away as away:
                self._pause(attempt, time.monotonic() - begun, str(away))
                continue
            if attempt:
                self._say(f"database reached again after {_span(time.monotonic() - begun)}")
            return result
        raise AssertionError("count() ends")

    def _pause(self, attempt: int, waited: float, reason: str) -> None:
        terms = self._terms
        if self._has_given_up or waited >= terms.seconds:
            self._has_given_up = True
            raise RunError(
                f"storage: {self._name} cannot be reached; tried for {_span(terms.seconds)}, the "
                f"last answer was: {reason}; {terms.remedy}"
            ) from None
        if attempt == 0:
            self._say(
                f"database {self._name} cannot be reached ({reason}); trying again for up to "
                f"{_span(terms.seconds)}"
            )
        pause = min(terms.pause * 2 ** min(attempt, 10), _LONGEST_PAUSE, terms.seconds - waited)
        try:
            time.sleep(pause)
        except BaseException:  # whoever interrupts does not want to wait at the end again
            self._has_given_up = True
            raise


def _span(seconds: float) -> str:
    """``5 minutes``, ``12 s``."""
    return f"{seconds / 60:.0f} minutes" if seconds >= 120 else f"{seconds:.0f} s"
