"""Logs that are read as a whole: JSON arrays and columns, TensorBoard's event files and CSV
downloads."""

from __future__ import annotations

import csv
import json
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

from gantune.errors import LogError
from gantune.health.logs.names import meaning

Row = Mapping[str, Any]

_SCALAR = re.compile(
    r"\s*(?:(\d+):\s+)?([-+]?(?:\d+\.?\d*(?:e[-+]?\d+)?|nan|inf))\s*$", re.IGNORECASE
)
_SCALAR_FILES = (".log", ".txt", ".csv")
_LARGEST = 2**28  # bytes of a JSON document
_DOWNLOAD = ["wall time", "step", "value"]
_EVENTS = "*tfevents*"
_LOGS = ("*.csv", "*.tsv", "*.jsonl", "loss_log.txt", "log.txt", "log")


def json_rows(path: Path) -> list[Row] | None:
    """The rows of a JSON array of objects, or of an object whose values are columns; ``None`` for
    any other file."""
    if path.stat().st_size > _LARGEST:
        return None
    try:
        tree = json.loads(path.read_text(encoding="utf-8-sig", errors="replace"))
    except (ValueError, RecursionError):
        return None
    if isinstance(tree, list) and tree and all(isinstance(row, dict) for row in tree):
        return tree
    if isinstance(tree, dict):
        return _rows_of_columns(tree)
    return None


def _rows_of_columns(tree: Mapping[str, Any]) -> list[Row] | None:
    """Also those of one object inside it, such as Keras' ``history``."""
    columns = {name: cells for name, cells in tree.items() if isinstance(cells, list) and cells}
    if columns:
        length = max(map(len, columns.values()))
        return [
            {name: cells[index] for name, cells in columns.items() if index < len(cells)}
            for index in range(length)
        ]
    inner = [value for value in tree.values() if isinstance(value, dict)]
    found = filter(None, map(_rows_of_columns, inner))
    return next(found, None)


def is_download(path: Path) -> bool:
    """Whether a file is a CSV download of TensorBoard, of one scalar."""
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    return [name.strip().lower() for name in header.split(",")] == _DOWNLOAD


def download_rows(path: Path) -> tuple[list[Row], list[str]]:
    """The rows of a CSV download of TensorBoard, joined by step with those of the same run beside
    it, and the names of all files."""
    run, _, _ = path.name.rpartition("-tag-")
    beside = [path]
    if run:
        near = sorted(path.parent.glob(f"{escape(run)}-tag-*.csv"))
        beside = [one for one in near if is_download(one)]
    scalars: dict[str, list[tuple[float, float]]] = {}
    for one in beside:
        with one.open(encoding="utf-8-sig", errors="replace", newline="") as file:
            cells = [row for row in csv.reader(file) if len(row) == 3][1:]
        tag = one.stem.rpartition("-tag-")[2].replace("_", " ")
        scalars[tag] = [(float(step), float(value)) for _, step, value in cells]
    return _joined(scalars), [one.name for one in beside]


def event_files(folder: Path) -> list[Path]:
    """TensorBoard's event files in a folder and below it."""
    return sorted(folder.rglob(_EVENTS))


def event_rows(path: Path) -> list[Row]:
    """The scalars of TensorBoard's event files in a folder and below it, or of one file, by step.

    A scalar of a folder inside has its name before its own. Raises ``LogError`` without the library
    and where there is no scalar.
    """
    try:
        from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
        from tensorboard.util.tensor_util import make_ndarray
    except ImportError:
        raise LogError(
            f"{path}: reading TensorBoard's event files needs its library: pip install "
            "'gantune[tensorboard]'"
        ) from None
    root = path if path.is_dir() else path.parent
    places = sorted({file.parent for file in event_files(path)}) if path.is_dir() else [path]
    scalars: dict[str, list[tuple[float, float]]] = {}
    for place in places:
        events = EventAccumulator(str(place), size_guidance={"scalars": 0, "tensors": 0})
        events.Reload()
        inside = "" if place in (root, path) else f"{place.relative_to(root)}/"
        for tag in events.Tags()["scalars"]:
            scalars[inside + tag] = [(one.step, one.value) for one in events.Scalars(tag)]
        for tag in events.Tags()["tensors"]:  # as TensorFlow 2 writes scalars
            points = [(one.step, make_ndarray(one.tensor_proto)) for one in events.Tensors(tag)]
            if points and all(value.size == 1 and value.dtype.kind in "fi" for _, value in points):
                scalars[inside + tag] = [(step, value.item()) for step, value in points]
    if not scalars:
        raise LogError(f"{path}: TensorBoard's event files here have no scalars")
    return _joined(scalars)


def _joined(scalars: Mapping[str, Iterable[tuple[float, float]]]) -> list[Row]:
    """A row for each step, with the scalars that were logged there."""
    rows: dict[float, dict[str, Any]] = defaultdict(dict)
    for tag, points in scalars.items():
        for step, value in points:
            rows[step][tag] = value
    return [{"step": step, **rows[step]} for step in sorted(rows)]


def scalar_files(path: Path) -> list[Path]:
    """The files of a folder that each have one scalar, in lines ``STEP: VALUE``, as BigGAN-PyTorch
    writes them, or ``VALUE``; or such a file and those beside it. A file without steps must have
    the name of a loss."""
    if path.is_file() and not _has_scalar(path):
        return []
    folder = path if path.is_dir() else path.parent
    near = sorted(one for one in folder.iterdir() if one.suffix in _SCALAR_FILES or one == path)
    return [one for one in near if one.is_file() and _has_scalar(one)]


def _has_scalar(path: Path) -> bool:
    match, what = _SCALAR.match(_first_line(path)), meaning(path.stem)
    is_loss = what is not None and what.signal in ("d_loss", "g_loss")
    return match is not None and (match[1] is not None or is_loss)


def scalar_rows(paths: Iterable[Path]) -> list[Row]:
    """The rows of such files, joined by step or by line; a scalar has the name of its file."""
    scalars = {}
    has_steps = False
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = [*filter(None, map(_SCALAR.match, text.splitlines()))]
        has_steps |= found[0][1] is not None
        scalars[path.stem] = [
            (float(match[1] or line), float(match[2])) for line, match in enumerate(found, start=1)
        ]
    rows = _joined(scalars)
    if has_steps:
        return rows
    return [{name: value for name, value in row.items() if name in scalars} for row in rows]


def _first_line(path: Path) -> str:
    with path.open(encoding="utf-8", errors="replace") as file:
        return file.readline(1000)


def logs_in(folder: Path) -> Sequence[Path]:
    """The files in a folder whose names are those of logs."""
    if not folder.is_dir():
        return []
    return sorted(path for pattern in _LOGS for path in folder.glob(pattern))
