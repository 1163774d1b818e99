"""What the commands share: where they print, and how they were called."""

from __future__ import annotations

import os
import shlex
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

__all__ = ["make_console", "typed_command"]

_LOG_WIDTH = 100  # columns of tables where the output is no terminal


def typed_command() -> str:
    """The command as it was typed."""
    return shlex.join(["gantune", *sys.argv[1:]])


def make_console(*, stderr: bool = False) -> Console:
    """The terminal, or a log of fixed width; ``stderr`` where results alone belong on stdout."""
    from rich.console import Console

    console = Console(highlight=False, stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _LOG_WIDTH
    return console
