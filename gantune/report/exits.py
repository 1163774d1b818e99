"""How a command ends when something is wrong: one clear message and an exit code."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from gantune.errors import DISK_FULL, GantuneError, TrainingError


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
