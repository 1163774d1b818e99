"""``Log``: the records of a log in any known format, with notes on how it was read."""

from __future__ import annotations

import io
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gantune.config import TrialConfig
from gantune.errors import LogError
from gantune.health.logs import documents, sidecar_scores
from gantune.health.logs.columns import JUDGED, PLACES, Columns
from gantune.health.logs.formats import (
    Lines,
    ObjectReader,
    PrintedReader,
    Reader,
    TableReader,
    flattened,
    parse_object,
    split_header,
)
from gantune.health.logs.printed import pairs
from gantune.health.logs.records import Record, Recorder
from gantune.io.formatting import count

EARLY = 20
"""Lines after which a log must contain something to judge."""

_BLOCK = 65_536  # bytes that tell text from binary
_BEFORE = 100  # objects without anything to judge that are kept until one comes that has
_LOSSES = {"d_loss", "g_loss"}


class Log:
    """The records of a log, to be iterated once. ``name``: the name of the log in messages.

    ``loss``, ``label_smoothing``, ``budget`` (kimg) and ``config``, that of gantune's own trainer,
    are known at the first record, where the log or a file beside it contains them. ``notes`` are
    complete after the last record.
    """

    def __init__(
        self,
        name: str,
        lines: Lines,
        columns: Columns,
        folder: Path | None,
        notes: Iterable[str] = (),
    ) -> None:
        self.name = name
        self.loss: str | None = None
        self.label_smoothing = 0.0
        self.budget: float | None = None
        self.config: TrialConfig | None = None
        self._lines, self._columns, self._folder = lines, columns, folder
        self._recorder = Recorder(name, columns)
        self._notes = [*notes]
        self._lines_before = 0
        self._first_line = ""
        self._reader: Reader | None = None

    @property
    def lines(self) -> int:
        """The number of lines that were read so far."""
        return self._lines.number

    @property
    def suffices(self) -> bool:
        """Whether the lines so far have something to judge, and a place."""
        recorder = self._recorder
        is_read = self._reader is not None and recorder.unit is not None
        return is_read and self._columns.suffice(recorder.found)

    @property
    def measured(self) -> set[str]:
        """The signals that were found so far."""
        return self._recorder.found

    def explain(self) -> str:
        """Why the lines so far do not suffice."""
        if self._reader is None:
            return self._explain_unknown()
        return self._recorder.problem or self._columns.explain_missing(self.names)

    @property
    def names(self) -> list[str]:
        """The names of all columns that were read so far."""
        return list(self._recorder.names)

    @property
    def notes(self) -> list[str]:
        """How the log was read, one sentence each."""
        reader, notes = self._reader, list(self._notes)
        if reader is not None and reader.what:
            skipped = self._lines_before + reader.skipped
            if skipped:
                notes.append(f"{count(skipped, 'line')} skipped: no {reader.what}")
        notes += self._recorder.notes
        if reader and reader.is_torn:
            notes.append("the last line skipped: incomplete")
        return notes

    def __iter__(self) -> Iterator[Record]:
        """Yields the records. Raises ``LogError`` for a log without any that can be judged."""
        is_empty = True
        for record in self._read():
            is_empty = False
            yield record
        self._check(is_empty)

    def _check(self, is_empty: bool) -> None:
        recorder = self._recorder
        if self._reader is None:
            raise LogError(f"{self.name}: {self._explain_unknown()}")
        if is_empty and recorder.problem:
            raise LogError(
                f"{recorder.problem}; nothing could be read: skip a column with --columns "
                "SIGNAL=, or name another with --columns SIGNAL=NAME"
            )
        if not recorder.columns.suffice(recorder.found):
            raise LogError(f"{self.name}: {self._columns.explain_missing(list(recorder.names))}")
        if is_empty and isinstance(self._reader, TableReader):
            raise LogError(f"{self.name}: a header but no rows yet; try again later")
        if is_empty:
            raise LogError(f"{self.name}: no record has a place; write step or kimg in each record")

    def _read(self) -> Iterator[Record]:
        """Finds the format by the first line that has something to judge, and reads on in it."""
        recorder, printed = self._recorder, PrintedReader(self._recorder)
        objects: list[tuple[Mapping[str, Any], int]] = []
        for line in self._lines:
            if not line.strip():
                continue
            tree = parse_object(line)
            if tree is not None:
                objects = [*objects[-_BEFORE:], (tree, self._lines.number)]
                if self._begins(tree):
                    yield from self._objects(objects)
                    return
                continue
            first = [*printed.records(line, self._lines)]
            if first or printed.is_torn or recorder.problem:
                self._reader = printed
                yield from first
                yield from printed.read(self._lines)
                return
            if self._is_header(line):
                names, delimiter = split_header(line)
                self._reader = TableReader(recorder, names, delimiter)
                yield from self._reader.read(self._lines)
                return
            self._first_line = self._first_line or line
            self._lines_before += 1
        if objects:
            yield from self._objects(objects)

    def _begins(self, tree: Mapping[str, Any]) -> bool:
        """Whether an object is the first one of a log in JSON lines."""
        return bool(self._recorder.signals(tuple(flattened(tree))).names & set(JUDGED))

    def _is_header(self, line: str) -> bool:
        names, delimiter = split_header(line)
        found = self._columns.find(names)
        # A line of words that a trainer prints has no place and no losses.
        losses = found.names & _LOSSES
        has_losses = losses == _LOSSES if delimiter == " " else losses
        is_table = len(names) > 1 and (found.names & set(PLACES) or has_losses)
        return bool(is_table or self._columns.named) and self._columns.suffice(found.names)

    def _objects(self, objects: list[tuple[Mapping[str, Any], int]]) -> Iterator[Record]:
        self._reader = reader = ObjectReader(self._recorder)
        tree, folder = objects[-1][0], self._folder

        def read() -> Iterator[Record]:
            for one, line in objects:
                yield from reader.records(one, line)
            yield from reader.read(self._lines)

        records = read()
        self._know_loss(tree)
        if self.loss and folder:
            scores, file = sidecar_scores.read_stylegan_fids(folder)
            if scores:
                self._notes.append(f"{count(len(scores), 'FID')} read from {file}")
            records = sidecar_scores.join_scores(records, scores, is_rounded=True)
        if folder and sidecar_scores.is_gantune_run(folder, tree.keys()):
            scores, config = sidecar_scores.read_gantune_run(folder)
            if config:
                self.loss, self.budget = config.loss, config.kimg
                self.label_smoothing = config.label_smoothing
                self.config = config if isinstance(config, TrialConfig) else None
                loss = f"loss {config.loss} and " if config.loss else ""
                self._notes.append(f"{loss}length {config.kimg:g} kimg read from config.yaml")
            if scores:
                self._notes.append(f"{count(len(scores), 'score')} read from scores.jsonl")
            records = sidecar_scores.join_scores(records, scores)
        yield from records

    def _know_loss(self, names: Container[str]) -> None:
        """Sets the loss of a log in StyleGAN's format."""
        self.loss = sidecar_scores.stylegan_loss(names)
        if self.loss:
            penalties = "its R1 and R2" if self.loss == "relativistic" else "its R1"
            self._notes.append(
                f"a log in StyleGAN's format: judged by the loss {self.loss} without {penalties}; "
                "name another loss with --loss"
            )

    def warn_early(self, warn: Callable[[str], None]) -> None:
        """Calls ``warn`` after the first lines of a growing log where none of them can be judged,
        because its trainer would otherwise run to its end unobserved."""

        def check() -> None:
            if not self.suffices:
                intro = f"{EARLY} lines and nothing to judge: " if self._reader is None else ""
                warn(f"{self.name}: {intro}{self.explain()}")

        self._lines.on_line = (EARLY, check)

    def _explain_unknown(self) -> str:
        """The message for a log in no known format."""
        first = self._first_line
        if not first and self._recorder.names:
            return self._columns.explain_missing(list(self._recorder.names))
        if not first:
            return "empty; give a log with a header and rows, JSON lines, or printed losses"
        names, _ = split_header(first)
        found = pairs(first)
        missing = self._columns.explain_missing(list(found) or names)
        is_known = len(names) > 1 or found
        return missing if is_known else f"no table, JSON lines or printed losses: {missing}"


class RowLog(Log):
    """The records of a log that was read as a whole, as rows."""

    def __init__(
        self, name: str, rows: Iterable[Mapping[str, Any]], columns: Columns, notes: Iterable[str]
    ) -> None:
        super().__init__(name, Lines(io.BytesIO()), columns, None, notes)
        self._rows = rows

    def _read(self) -> Iterator[Record]:
        self._reader = reader = ObjectReader(self._recorder)
        for number, row in enumerate(self._rows, start=1):
            if number == 1:
                self._know_loss(row)
            yield from reader.records(row, number)


@contextmanager
def open_log(path: Path | str, columns: Columns | None = None) -> Iterator[Log]:
    """Opens the log in a file, with the scores and the config beside it, or in a folder: that of a
    training, its only log, TensorBoard's event files, or files of one scalar each. Raises
    ``LogError``."""
    path, columns = Path(path), columns or Columns()
    if path.is_dir():
        if documents.event_files(path):
            yield _event_log(path, columns)
            return
        if scalars := documents.scalar_files(path):
            yield _scalar_log(path, scalars, columns)
            return
        training = path / "ticks.jsonl"
        found = [training] if training.is_file() else documents.logs_in(path)
        are_joined = found and all(map(documents.is_download, found))
        path = found[0] if len(found) == 1 or are_joined else path
    with _opened(path) as file:
        block = file.read(_BLOCK)
        if "tfevents" in path.name:
            yield _event_log(path, columns)
            return
        if b"\0" in block:
            raise LogError(f"{path}: binary, not a log; give a text file in UTF-8")
        rows = documents.json_rows(path) if block.lstrip()[:1] in (b"[", b"{") else None
        if rows is not None:
            yield RowLog(str(path), rows, columns, [])
            return
        if path.is_file() and (scalars := documents.scalar_files(path)):
            yield _scalar_log(path, scalars, columns)
            return
        if documents.is_download(path):
            rows, names = documents.download_rows(path)
            joined = f"joined from {', '.join(names)}"
            yield RowLog(str(path), rows, columns, [joined] if len(names) > 1 else [])
            return
        file.seek(0)
        yield Log(str(path), Lines(file), columns, path.parent)


def _event_log(path: Path, columns: Columns) -> Log:
    return RowLog(str(path), documents.event_rows(path), columns, [])


def _scalar_log(path: Path, scalars: Sequence[Path], columns: Columns) -> Log:
    joined = f"joined from {', '.join(one.name for one in scalars)}"
    rows = documents.scalar_rows(scalars)
    return RowLog(str(path), rows, columns, [joined] if len(scalars) > 1 else [])


def open_stream(stream: IO[bytes], columns: Columns | None = None) -> Log:
    """The log from a pipe, read line by line."""
    return Log("stdin", Lines(stream), columns or Columns(), None)


def open_records(
    records: Iterable[Mapping[str, Any]], columns: Columns | None = None
) -> Iterator[Record]:
    """Records from mappings such as ``{"step": 100, "d_loss": 1.3}``. Raises ``LogError``."""
    recorder = Recorder("record", columns or Columns())
    reader, is_empty = ObjectReader(recorder), True
    for index, tree in enumerate(records, start=1):
        for record in reader.records(tree, index):
            is_empty = False
            yield record
    if not recorder.names:
        raise LogError("no records to judge")
    if recorder.problem:
        raise LogError(recorder.problem)
    if is_empty or not recorder.columns.suffice(recorder.found):
        raise LogError(f"the records: {recorder.columns.explain_missing(list(recorder.names))}")


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise LogError(f"{path}: no such file{_hint(path.parent)}") from None
    except IsADirectoryError:
        raise LogError(f"{path}: a folder, not a log{_hint(path)}") from None
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # an invalid file name
        raise LogError(f"{str(path)!r}: not a file name ({error})") from None


def _hint(folder: Path) -> str:
    """The logs in ``folder``."""
    found = [str(path) for path in documents.logs_in(folder)]
    return f"; there are: {', '.join(found[:5])}" if found else ""
