"""What a stranger's code prints, kept in a file of bounded size."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MOST = 2_000_000
"""Bytes above which the middle is left out."""


_HEAD, _TAIL = 500_000, 1_000_000


_MARK = b"\n\n[... what was printed here is left out ...]\n\n"


_INTERVAL = 0.5  # seconds from one look at the file to the next


@contextmanager
def captured(path: Path) -> Iterator[None]:
    """Within it, all that this process and its children print goes to the file's end.

    By the file descriptors, so that C code is caught too. A pipe would have to be read while the
    printing code holds the interpreter, so it is a file that is cut now and then.
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
        capped(path)


def capped(path: Path) -> None:
    """Cuts the middle out of a file that is too long; its beginning and the newest part stay."""
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
        capped(path)


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()


def _by_line() -> None:
    """A process that is killed has printed what it said."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(line_buffering=True)
