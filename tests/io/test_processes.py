"""How a worker's end is told."""

from __future__ import annotations

import pytest

from gantune.io.processes import exit_words


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (3, "exit code 3"),
        (-9, "exit code -9 (SIGKILL, ended from outside, as Linux does when memory runs out)"),
        (-11, "exit code -11 (SIGSEGV, a fault in compiled code)"),
        (-7, "exit code -7 (SIGBUS, a fault in compiled code, or no room left in /dev/shm)"),
        (-1, "exit code -1 (SIGHUP)"),
        (-99, "exit code -99"),
    ],
)
def test_a_signal_is_named_and_told(code: int, words: str) -> None:
    assert exit_words(code) == words
