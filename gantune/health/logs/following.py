"""``FollowedLog``: the records of a log while its trainer writes it."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from io import BytesIO
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

    ``pattern``: a file, a folder of event files, or a glob, of which the newest counts. What was
    there when this object was made is read, for a header and for places that are counted on, but
    its records are left out. ``wait``: waits a moment; whether the log may still grow.
    """

    def __init__(self, pattern: str, columns: Columns, wait: Callable[[], bool]) -> None:
        self.pattern = pattern
        self.path: Path | None = None
        """The log, once there is one."""
        self.log: Log | None = None
        """The log as it was read last."""
        self._columns, self._wait = columns, wait
        self._before = {path: _stamp(path) for path in self._matches()}
        self._old = {path: records_in(path, columns) for path in self._before}
        self._seen = 0
        self._has_records = False

    @property
    def is_new(self) -> bool:
        """Whether the log was not there when this object was made."""
        return self.path not in self._before

    def __iter__(self) -> Iterator[Record]:
        """Yields new records until the log cannot grow any more. Raises ``LogError`` for a log that
        has none that can be judged, and where none was written."""
        while True:
            path = self._found()
            if path is None:
                raise LogError(self._explain_nothing())
            self.path, self._seen = path, self._old.get(path, 0)
            try:
                yield from self._document(path) if _is_document(path) else self._text(path)
                return
            except _OtherLogError:  # a newer one, where this one has nothing to judge
                continue

    def _text(self, path: Path) -> Iterator[Record]:
        while True:
            try:
                stream = _GrowingFile(path, self._may_grow)
            except FileNotFoundError:  # it is about to be replaced
                if self._may_grow():
                    continue
                raise LogError(f"{path}: no such file") from None
            try:
                log = Log(str(path), Lines(stream), self._columns, None)
                yield from self._new(log)
                return
            except _WrittenAnewError:  # as Lightning does when a column is added
                if path in self._before and _stamp(path)[1] < self._before[path][1]:
                    self._seen = 0  # it begins again, for this run
                continue
            finally:
                stream.close()

    def _new(self, log: Log) -> Iterator[Record]:
        """The records of ``log`` after those that were seen."""
        self.log, before = log, self._seen
        for index, record in enumerate(log):
            if index >= before:
                self._seen, self._has_records = index + 1, True
                yield record

    def _document(self, path: Path) -> Iterator[Record]:
        """Reads it again whenever it has changed. Its last row may lack columns until the next."""
        last: _Stamp | None = self._before.get(path)
        while True:
            may_grow, stamp = self._may_grow(), _stamp(path)
            begun = time.monotonic()
            if stamp != last or not may_grow:
                last = stamp
                yield from self._rows_so_far(path, is_whole=not may_grow)
            if not may_grow:
                return
            again = time.monotonic() + _READING * (time.monotonic() - begun)
            while time.monotonic() < again and self._may_grow():
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
        if len(records) < self._seen:  # another run began again
            self._seen = 0
        new = records[self._seen : None if is_whole else -1]
        self._seen += len(new)
        self._has_records |= bool(new)
        return new

    def _may_grow(self) -> bool:
        """Waits; raises ``_OtherLogError`` where this log has nothing to judge and another has
        begun."""
        may_grow = self._wait()
        if not self._has_records and self._newest() not in (None, self.path):
            raise _OtherLogError
        return may_grow

    def _found(self) -> Path | None:
        """The newest log with new content, once there is one; ``None`` where none has come."""
        while True:
            may_grow = self._wait()
            if (found := self._newest()) is not None or not may_grow:
                return found

    def _newest(self) -> Path | None:
        stamps = {path: _stamp(path) for path in self._matches()}
        new = [path for path, stamp in stamps.items() if stamp != self._before.get(path)]
        return max((p for p in new if stamps[p][1]), key=lambda p: stamps[p][2], default=None)

    def _explain_nothing(self) -> str:
        if self._before:
            return f"{self.pattern}: nothing new was written there"
        return f"{self.pattern}: no such file"

    def _matches(self) -> list[Path]:
        return matching_paths(self.pattern)


def records_in(path: Path, columns: Columns) -> int:
    """The number of records in a log as it is now; 0 where it cannot be read."""
    return len(read_whole_lines(path, columns))


def read_whole_lines(path: Path, columns: Columns) -> list[Record]:
    """The records of a log without a line that is being written; none where it cannot be read."""
    try:
        if _is_document(path):
            with open_log(path, columns) as log:
                return [*log]
        content = path.read_bytes()
        whole = content[: content.rfind(b"\n") + 1]
        return [*Log(str(path), Lines(BytesIO(whole)), columns, None)]
    except (LogError, OSError):
        return []


class _OtherLogError(Exception):
    """Another log is the newest."""


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


def _is_document(path: Path) -> bool:
    """Whether it is read as a whole: a folder, event files, or one JSON document."""
    if path.is_dir() or "tfevents" in path.name:
        return True
    with path.open("rb") as file:
        start = file.read(4096).lstrip()[:1]
    return start == b"[" or (start == b"{" and documents.json_rows(path) is not None)


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
