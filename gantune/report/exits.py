"""How a command ends when something is wrong: one clear message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gantune.errors import DISK_FULL, GantuneError, RunError, TrainingError

__all__ = ["reported", "writing"]


@contextmanager
def reported() -> Iterator[None]:
    """Turns user errors and a full disk into a message on stderr and exit code 2.

    A search that crashes, the code's fault or the machine's, has exit code 1.

    A reader that has gone, as after ``gantune best dcgan | head -1``, ends it in silence.
    """
    code = 2
    try:
        yield
    except GantuneError as error:
        message, code = str(error), 1 if isinstance(error, TrainingError) else 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        if error.errno not in DISK_FULL:
            raise
        message = (
            f"disk full: {error.filename or 'a file'} could not be written; free some room and run "
            "the same command again, finished trials are kept"
        )
    else:
        return
    print(message, file=sys.stderr)
    raise SystemExit(code)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around the writing of a file that the user named: it fails with ``RunError``."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise RunError(f"{path}: cannot be written ({error.strerror})") from None
