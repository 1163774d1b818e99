"""``FollowedLog``: the records of a log while its trainer writes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from gantune.errors import LogError
from gantune.health.logs import documents
from gantune.health.logs.columns import Columns
from gantune.health.logs.formats import Lines
from gantune.health.logs.log import Log, open_log
from gantune.health.logs.records import Record
from gantune.io.files import matching_paths

_READING = 10.0  # times as long as it was read, a log that is read as a whole is left alone
_HEAD = 1000  # bytes that tell whether a file was written anew
_Stamp = tuple[int, int, int]


class FollowedLog:
    """New records of a log that grows, is written anew or is split over several runs.

    ``pattern``: a file, a folder of event files, or a glob, of which the newest counts that has
    changed since this object was made; it is read from its start. ``wait``: waits a moment; whether
    the log may still grow.
    """

    def __init__(self, pattern: str, columns: Columns, wait: Callable[[], bool]) -> None:
        self.pattern = pattern
        self.path: Path | None = None
        """The log, once there is one."""
        self.log: Log | None = None
        """The log as it was read last."""
        self._columns, self._wait = columns, wait
        self._before = {path: _stamp(path) for path in self._matches()}
        self._seen = 0

    def __iter__(self) -> Iterator[Record]:
        """Yields new records until the log cannot grow any more. Raises ``LogError`` for a log that
        has none that can be judged, and where there is no log."""
        path = self._found()
        if path is None:
            raise LogError(f"{self.pattern}: no such file")
        self.path = path
        if self._is_document(path):
            yield from self._document(path)
            return
        while True:
            stream = _GrowingFile(path, self._wait)
            try:
                yield from self._new(Log(str(path), Lines(stream), self._columns, None))
                return
            except _WrittenAnewError:  # as Lightning does when a column is added
                continue
            finally:
                stream.close()

    def _new(self, log: Log) -> Iterator[Record]:
        """The records of ``log`` after those that were seen."""
        self.log, before = log, self._seen
        for index, record in enumerate(log):
            if index >= before:
                self._seen = index + 1
                yield record

    def _document(self, path: Path) -> Iterator[Record]:
        """Reads it again whenever it has changed. Its last row may lack columns until the next."""
        last: _Stamp | None = None
        while True:
            may_grow, stamp = self._wait(), _stamp(path)
            begun = time.monotonic()
            if stamp != last or not may_grow:
                last = stamp
                yield from self._rows_so_far(path, is_whole=not may_grow)
            if not may_grow:
                return
            again = time.monotonic() + _READING * (time.monotonic() - begun)
            while time.monotonic() < again and self._wait():
                pass

    def _rows_so_far(self, path: Path, *, is_whole: bool) -> list[Record]:
        """The new records of a document; where it is not whole, without the last one."""
        try:
            with open_log(path, self._columns) as log:
                self.log, records = log, [*log]
        except LogError:
            if is_whole:
                raise
            return []  # it is being written
        new = records[self._seen : None if is_whole else -1]
        self._seen += len(new)
        return new

    def _is_document(self, path: Path) -> bool:
        if path.is_dir() or "tfevents" in path.name:
            return True
        with path.open("rb") as file:
            start = file.read(4096).lstrip()[:1]
        if start == b"[":
            return True
        return start == b"{" and documents.json_rows(path) is not None

    def _found(self) -> Path | None:
        """The log, once it has content; ``None`` where none has come."""
        while True:
            may_grow = self._wait()
            found = {path: stamp for path in self._matches() if (stamp := _stamp(path))[1]}
            new = [path for path in found if found[path] != self._before.get(path)]
            if new or not may_grow:
                return max(new or found, key=lambda path: found[path][2], default=None)

    def _matches(self) -> list[Path]:
        return matching_paths(self.pattern)


class _WrittenAnewError(Exception):
    """A file that has become shorter, or is another one."""


class _GrowingFile:
    """A file that is read while it is written, until nothing more can come."""

    def __init__(self, path: Path, wait: Callable[[], bool]) -> None:
        self._path, self._wait = path, wait
        self._file = path.open("rb")
        self._head = b""

    def read1(self, size: int) -> bytes:
        """Bytes as soon as there are some; none at the end."""
        may_grow = True
        while not (found := self._file.read1(size)):
            if not may_grow:
                return b""
            may_grow = self._wait()
            self._check()
        self._head = self._head or found[:_HEAD]
        return found

    def close(self) -> None:
        self._file.close()

    def _check(self) -> None:
        own = os.fstat(self._file.fileno())
        try:
            now = self._path.stat()
        except FileNotFoundError:  # it is about to be replaced
            return
        is_same = now.st_ino == own.st_ino and now.st_size >= self._file.tell()
        if not is_same or os.pread(self._file.fileno(), len(self._head), 0) != self._head:
            raise _WrittenAnewError


def _stamp(path: Path) -> _Stamp:
    """What changes with a file or the files in a folder: inode, size, time in ns."""
    try:
        files = [one for one in path.rglob("*") if one.is_file()] if path.is_dir() else [path]
        found = [file.stat() for file in files]
    except OSError:
        return 0, 0, 0
    return (
        max((one.st_ino for one in found), default=0),
        sum(one.st_size for one in found),
        max((one.st_mtime_ns for one in found), default=0),
    )
