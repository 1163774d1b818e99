"""``Log``: the records of a log in any known format, with notes on how it was read."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from gantune.errors import LogError
from gantune.health.logs import sidecar_scores
from gantune.health.logs.columns import JUDGED, PLACES, Columns
from gantune.health.logs.formats import (
    Lines,
    ObjectReader,
    Record,
    TableReader,
    parse_object,
    split_header,
)
from gantune.io.formatting import count

_EARLY = 20  # lines after which a log must contain something to judge
_BLOCK = 4096  # bytes that are searched for a zero, to tell text from binary


class Log:
    """The records of a log, to be iterated once. ``name``: the name of the log in messages.

    ``loss``, ``label_smoothing`` and ``budget`` (kimg) are known at the first record, where the log
    or a file beside it contains them. ``notes`` are complete after the last record.
    """

    def __init__(self, name: str, lines: Lines, columns: Columns, folder: Path | None) -> None:
        self.name = name
        self.loss: str | None = None
        self.label_smoothing = 0.0
        self.budget: float | None = None
        self._lines, self._columns, self._folder = lines, columns, folder
        self._notes: list[str] = []
        self._lines_before = 0
        self._first_line = ""
        self._reader: TableReader | ObjectReader | None = None

    @property
    def notes(self) -> list[str]:
        """How the log was read, one sentence each."""
        reader, notes = self._reader, list(self._notes)
        skipped = self._lines_before + (reader.skipped if reader else 0)
        kind = "JSON objects" if isinstance(reader, ObjectReader) else "rows of the table"
        if skipped:
            notes.append(f"{count(skipped, 'line')} skipped: no {kind}")
        if reader and reader.unplaced:
            notes.append(f"{count(reader.unplaced, 'line')} skipped: without step or kimg")
        if reader and reader.is_torn:
            notes.append("the last line skipped: incomplete")
        return notes

    def __iter__(self) -> Iterator[Record]:
        """Yields the records. Raises ``LogError``, with the line, for what cannot be read."""
        is_empty = True
        for record in self._read():
            is_empty = False
            yield record
        if is_empty:
            raise LogError(f"{self.name}: {self._explain_empty()}")
        reader = self._reader
        if isinstance(reader, ObjectReader) and not self._columns.suffice(reader.found):
            raise LogError(f"{self.name}: {self._columns.explain_missing(list(reader.names))}")

    def _read(self) -> Iterator[Record]:
        for line in self._lines:
            if not line.strip():
                continue
            tree = parse_object(line)
            if tree is not None:
                yield from self._objects(line, tree)
                return
            names, delimiter = split_header(line)
            if self._columns.suffice(self._columns.find(names)):
                self._reader = TableReader(self.name, self._columns, names, delimiter)
                yield from self._reader.read(self._lines)
                return
            self._first_line = self._first_line or line
            self._lines_before += 1
        raise LogError(f"{self.name}: {self._explain_unknown(self._first_line)}")

    def _objects(self, line: str, tree: Mapping[str, Any]) -> Iterator[Record]:
        self._reader = reader = ObjectReader(self.name, self._columns)
        records, folder = reader.read(line, self._lines), self._folder
        self.loss = sidecar_scores.stylegan_loss(tree)
        if self.loss:
            penalties = "its R1 and R2" if self.loss == "relativistic" else "its R1"
            self._notes.append(
                f"a log in StyleGAN's format: judged by the loss {self.loss} without {penalties}; "
                "name another loss with --loss"
            )
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
                loss = f"loss {config.loss} and " if config.loss else ""
                self._notes.append(f"{loss}length {config.kimg:g} kimg read from config.yaml")
            if scores:
                self._notes.append(f"{count(len(scores), 'score')} read from scores.jsonl")
            records = sidecar_scores.join_scores(records, scores)
        yield from records

    def warn_early(self, warn: Callable[[str], None]) -> None:
        """Calls ``warn`` after the first lines of a growing log where none of them can be judged,
        because its trainer would otherwise run to its end unobserved."""

        def check() -> None:
            reader = self._reader
            if reader is None:
                why = self._explain_unknown(self._first_line)
                warn(f"{self.name}: {_EARLY} lines and nothing to judge: {why}")
            elif isinstance(reader, ObjectReader) and not (
                self._columns.suffice(reader.found) and reader.unit
            ):
                warn(f"{self.name}: {self._columns.explain_missing(list(reader.names))}")

        self._lines.on_line = (_EARLY, check)

    def _explain_empty(self) -> str:
        """The message for a log in a known format without a record."""
        reader = self._reader
        if isinstance(reader, ObjectReader):
            if self._columns.suffice(reader.found):
                return "no record has a place; write step or kimg in each record"
            return self._columns.explain_missing(list(reader.names))
        return "a header but no rows yet; try again later"

    def _explain_unknown(self, first: str) -> str:
        """The message for a log without a header and without an object."""
        if not first:
            return "empty; give a log with a header and rows, or JSON lines"
        names, _ = split_header(first)
        missing = self._columns.explain_missing(names)
        return missing if len(names) > 1 else f"neither JSON lines nor a table: {missing}"


@contextmanager
def open_log(path: Path | str, columns: Columns | None = None) -> Iterator[Log]:
    """Opens the log in a file, with the scores and the config beside it. Raises ``LogError``."""
    path = Path(path)
    with _opened(path) as file:
        if b"\0" in file.read(_BLOCK):
            raise LogError(f"{path}: binary, not a log; give CSV or JSON lines in UTF-8")
        file.seek(0)
        yield Log(str(path), Lines(file), columns or Columns(), path.parent)


def open_stream(stream: IO[bytes], columns: Columns | None = None) -> Log:
    """The log from a pipe, read line by line."""
    return Log("stdin", Lines(stream), columns or Columns(), None)


def open_records(
    records: Iterable[Mapping[str, Any]], columns: Columns | None = None
) -> Iterator[Record]:
    """Records from mappings such as ``{"step": 100, "d_loss": 1.3}``. Raises ``LogError``."""
    reader = ObjectReader("record", columns or Columns())
    is_empty = True
    for index, tree in enumerate(records, start=1):
        record = reader.record(dict(tree), index)
        if record is not None:
            is_empty = False
            yield record
    if not reader.names:
        raise LogError("no records to judge")
    if is_empty or not reader.found & set(JUDGED) or not reader.found & set(PLACES):
        raise LogError(f"the records: {reader.columns.explain_missing(list(reader.names))}")


def _opened(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except FileNotFoundError:
        raise LogError(f"{path}: no such file{_logs_in(path.parent)}") from None
    except IsADirectoryError:
        raise LogError(f"{path}: a folder, not a log{_logs_in(path)}") from None
    except OSError as error:
        raise LogError(f"{path}: cannot be read ({error.strerror})") from None
    except ValueError as error:  # an invalid file name
        raise LogError(f"{str(path)!r}: not a file name ({error})") from None


def _logs_in(folder: Path) -> str:
    """The logs in ``folder``, as a hint."""
    if not folder.is_dir():
        return ""
    known = ("*.csv", "*.tsv", "*.jsonl")
    found: Sequence[str] = sorted(str(path) for glob in known for path in folder.glob(glob))
    return f"; there are: {', '.join(found[:5])}" if found else ""
