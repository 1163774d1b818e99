"""Redirects what a user's trainer prints to a file of limited size."""

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST = 2_000_000
"""Size in bytes above which the middle of the file is cut out."""

_HEAD, _TAIL = 500_000, 1_000_000
_MARK = b"\n\n[... what was printed here is left out ...]\n\n"
_INTERVAL = 0.5  # seconds between two checks of the file's size


@contextmanager
def redirect_output(path: Path) -> Iterator[None]:
    """Appends all that this process and its children print within it to a file.

    It redirects file descriptors, so that output of C code is included. It is a file that is
    truncated from time to time, because nobody could read a pipe while the printing code holds the
    interpreter.
    """
    with path.open("ab") as file:
        _flush()
        saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
        for descriptor, _ in saved:
            os.dup2(file.fileno(), descriptor)
        _by_line()
    is_over = threading.Event()
    watch = threading.Thread(target=_watch, args=(path, is_over), daemon=True)
    watch.start()
    try:
        yield
    finally:
        is_over.set()
        watch.join()
        _flush()
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
        truncate_middle(path)


def truncate_middle(path: Path) -> None:
    """Cuts the middle out of a file that is too long; its start and its newest part stay."""
    try:
        with path.open("r+b") as file:
            if file.seek(0, os.SEEK_END) <= MOST:
                return
            file.seek(-_TAIL, os.SEEK_END)
            tail = file.read(_TAIL)
            file.seek(_HEAD)
            file.write(_MARK + tail)
            file.truncate()
    except FileNotFoundError:
        return


def _watch(path: Path, is_over: threading.Event) -> None:
    while not is_over.wait(_INTERVAL):
        truncate_middle(path)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _by_line() -> None:
    """Flushes each line, so that it is not lost when the process is killed."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)
