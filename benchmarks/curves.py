"""Whole runs in one Parquet file: one row per run, each signal a list over its ticks.

Columns: ``configuration``, ``seed``, ``loss``; ``params``, what was drawn, and ``config``, the
whole ``TrialConfig``, both as JSON; a ``Tick``'s fields as ``tick_<name>``, its penalties as
``tick_penalties``, JSON; a score's as ``score_<name>``.
The file's metadata says, as JSON under ``gantune``, how it was made.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.publish import ROOT

__all__ = ["CURVES", "Curves", "read_curves", "write_curves"]

CURVES = ROOT / "benchmarks" / "curves"
_KEY = b"gantune"


@dataclass(frozen=True)
class Curves:
    """One run with its ticks and scores."""

    configuration: int
    seed: int
    params: Mapping[str, Any]
    """What was drawn, by the parameters' names in the space."""
    config: Mapping[str, Any]
    ticks: Sequence[Mapping[str, float | None]]
    scores: Sequence[Mapping[str, float | None]]
    """The first one is of the untrained generator; a ``value`` of ``None`` was not finite."""


def write_curves(path: Path, runs: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]) -> None:
    """Writes runs, each a mapping of ``Curves``' fields, and ``facts`` about all of them."""
    table = pa.Table.from_pylist([_row(run) for run in runs])
    table = table.replace_schema_metadata({_KEY: json.dumps(facts).encode()})
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, path, compression="zstd", compression_level=19)


def read_curves(path: Path) -> tuple[dict[str, Any], Iterator[Curves]]:
    """The facts about all runs, and the runs."""
    table = pq.read_table(path)
    facts: dict[str, Any] = json.loads(table.schema.metadata[_KEY])
    return facts, map(_curves, table.to_pylist())


def _row(run: Mapping[str, Any]) -> dict[str, Any]:
    row = {key: run[key] for key in ("configuration", "seed")}
    row |= {"loss": run["config"]["loss"]}
    row |= {key: json.dumps(run[key]) for key in ("params", "config")}
    ticks = [{**tick, "penalties": json.dumps(tick["penalties"])} for tick in run["ticks"]]
    for kind, records in (("tick", ticks), ("score", run["scores"])):
        names = dict.fromkeys(name for record in records for name in record)
        row |= {f"{kind}_{name}": [record.get(name) for record in records] for name in names}
    return row


def _curves(row: Mapping[str, Any]) -> Curves:
    ticks = _records(row, "tick_")
    return Curves(
        row["configuration"],
        row["seed"],
        json.loads(row["params"]),
        json.loads(row["config"]),
        [{**tick, "penalties": json.loads(tick["penalties"])} for tick in ticks],
        _records(row, "score_"),
    )


def _records(row: Mapping[str, Any], kind: str) -> list[dict[str, Any]]:
    columns = {key.removeprefix(kind): row[key] for key in row if key.startswith(kind) and row[key]}
    length = len(columns["kimg"])
    return [{name: values[place] for name, values in columns.items()} for place in range(length)]
