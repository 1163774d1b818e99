"""``Log``: a log of any known kind as records, with what there is to say of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gantune.errors import LogError
from gantune.health.logs.columns import JUDGED, PLACES, Columns
from gantune.health.logs.formats import (
    Header,
    Lines,
    ObjectReader,
    TableReader,
    find_header,
    parse_object,
)
from gantune.health.logs.records import Record, Records
from gantune.health.logs.sidecar_scores import fid_scores, is_own_run, join, loss_of, read_own_run
from gantune.io.formatting import count

_EARLY = 20  # lines by which a log has begun to tell something
_BLOCK = 4096  # bytes that tell a text from something else


class Log:
    """Records one by one, once. ``name``: for messages.

    ``loss``, ``label_smoothing`` and ``budget`` (kimg): the run's own where the log tells them,
    known with its first record. ``notes``: what there is to say, complete after its last one.
    """

    def __init__(self, name: str, lines: Lines, columns: Columns, folder: Path | None) -> None:
        self.name = name
        self.loss: str | None = None
        self.label_smoothing = 0.0
        self.budget: float | None = None
        self._lines, self._columns, self._folder = lines, columns, folder
        self._records = Records(name)
        self._said: list[str] = []
        self._before = 0
        self._first = ""
        self._reader: TableReader | ObjectReader | None = None

    @property
    def notes(self) -> list[str]:
        """Sentences, each of its own."""
        reader, notes = self._reader, list(self._said)
        left_out = self._before + (reader.left_out if reader else 0)
        kind = "JSON objects" if isinstance(reader, ObjectReader) else "rows of the table"
        if left_out:
            notes.append(f"{count(left_out, 'line')} left out: no {kind}")
        if reader and reader.unplaced:
            notes.append(f"{count(reader.unplaced, 'line')} left out: without step or kimg")
        if reader and reader.torn:
            notes.append("the last line left out: not whole yet")
        return notes

    def __iter__(self) -> Iterator[Record]:
        """The records. Raises ``LogError`` for what cannot be read, with its line."""
        is_empty = True
        for record in self._read():
            is_empty = False
            yield record
        if is_empty:
            raise LogError(f"{self.name}: {self._nothing()}")
        reader = self._reader
        if isinstance(reader, ObjectReader) and not self._columns.suffice(reader.found):
            raise LogError(f"{self.name}: {self._columns.complaint(list(reader.names))}")

    def _read(self) -> Iterator[Record]:
        for line in self._lines:
            if not line.strip():
                continue
            tree, header = parse_object(line), None
            if tree is None:
                header = find_header(line, self._columns)
            if tree is not None:
                yield from self._objects(line, tree)
                return
            if header is not None:
                self._reader = TableReader(header, self._columns, self._records)
                yield from self._reader.read(self._lines)
                return
            self._first = self._first or line
            self._before += 1
        raise LogError(f"{self.name}: {self._unknown(self._first)}")

    def _objects(self, line: str, tree: Mapping[str, Any]) -> Iterator[Record]:
        self._reader = reader = ObjectReader(self._columns, self._records)
        records = reader.read(line, self._lines)
        self.loss = loss_of(tree)
        if self.loss:
            penalties = "its R1 and R2" if self.loss == "relativistic" else "its R1"
            self._said.append(
                f"a log of StyleGAN's kind: its loss is taken for {self.loss}, {penalties} apart; "
                "another one is named with --loss"
            )
        if self.loss and self._folder:
            scores, file = fid_scores(self._folder)
            if scores:
                self._said.append(f"{count(len(scores), 'FID')} read from {file}")
            records = join(records, scores, is_rounded=True)
        if self._folder and is_own_run(self._folder, tree.keys()):
            records = self._own(records, self._folder)
        yield from records

    def _own(self, records: Iterator[Record], folder: Path) -> Iterator[Record]:
        own = read_own_run(folder)
        self.loss, self.budget, self.label_smoothing = own.loss, own.kimg, own.label_smoothing
        if own.kimg:
            loss = f"loss {own.loss} and " if own.loss else ""
            self._said.append(f"{loss}length {own.kimg:g} kimg as in config.yaml")
        if own.scores:
            self._said.append(f"{count(len(own.scores), 'score')} read from scores.jsonl")
        return join(records, own.scores)

    def warn_early(self, warn: Callable[[str], None]) -> None:
        """Has ``warn`` told, after the first lines of a log that is still being written, why none
        of them can be judged; its trainer would run to its end unwatched."""

        def look() -> None:
            reader = self._reader
            if reader is None:
                nothing = f"{_EARLY} lines and nothing to judge"
                warn(f"{self.name}: {nothing}: {self._unknown(self._first)}")
            elif isinstance(reader, ObjectReader) and not (
                self._columns.suffice(reader.found) and self._records.unit
            ):
                warn(f"{self.name}: {self._columns.complaint(list(reader.names))}")

        self._lines.looks = (_EARLY, look)

    def _nothing(self) -> str:
        """What to say of a log of a known kind without a record."""
        reader = self._reader
        if isinstance(reader, ObjectReader):
            if self._columns.suffice(reader.found):
                return "no record has a place; fill in step or kimg"
            return self._columns.complaint(list(reader.names))
        return "a header and no rows to judge; train on, then look again"

    def _unknown(self, first: str) -> str:
        """What to say of a log in which neither a header nor an object was found."""
        if not first:
            return "empty; give a log with a header and rows, or JSON lines"
        header = find_header(first, None) or Header((), ",")
        return (
            f"neither JSON lines nor a table: {self._columns.complaint(header.names)}"
            if len(header.names) < 2
            else self._columns.complaint(header.names)
        )


@contextmanager
def open_log(path: Path | str, columns: Columns | None = None) -> Iterator[Log]:
    """The log in a file, with what stands beside it. Raises ``LogError``."""
    path = Path(path)
    with _opened(path) as file:
        if b"\0" in file.read(_BLOCK):
            raise LogError(f"{path}: binary, not a log; give CSV or JSON lines in UTF-8")
        file.seek(0)
        yield Log(str(path), Lines(file), columns or Columns(), path.parent)


def open_stream(stream: IO[bytes], columns: Columns | None = None) -> Log:
    """The log that a pipe brings, read as it comes."""
    return Log("stdin", Lines(stream), columns or Columns(), None)


def open_records(
    records: Iterable[Mapping[str, Any]], columns: Columns | None = None
) -> Iterator[Record]:
    """Records of mappings such as ``{"step": 100, "d_loss": 1.3}``. Raises ``LogError``."""
    reader = ObjectReader(columns or Columns(), Records("record"))
    is_empty = True
    for index, tree in enumerate(records, start=1):
        record = reader.record(dict(tree), index)
        if record is not None:
            is_empty = False
            yield record
    if not reader.names:
        raise LogError("no records to judge")
    if is_empty or not reader.found & set(JUDGED) or not reader.found & set(PLACES):
        raise LogError(f"the records: {(columns or Columns()).complaint(list(reader.names))}")


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise LogError(f"{path}: no such file{_instead(path.parent)}") from None
    except IsADirectoryError:
        raise LogError(f"{path}: a folder, not a log{_instead(path)}") from None
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # a name that no file can have
        raise LogError(f"{str(path)!r}: no name of a file ({error})") from None


def _instead(folder: Path) -> str:
    """Logs in ``folder``, as a way out."""
    if not folder.is_dir():
        return ""
    known = ("*.csv", "*.tsv", "*.jsonl")
    found: Sequence[str] = sorted(str(path) for glob in known for path in folder.glob(glob))
    return f"; there are: {', '.join(found[:5])}" if found else ""
