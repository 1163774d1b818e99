"""Logs of any trainer, read record by record. No torch and no Optuna here."""

from __future__ import annotations

from gantune.health.logs.columns import Columns, read_columns
from gantune.health.logs.reading import Log, open_log, open_records, open_stream
from gantune.health.logs.records import Record

__all__ = [
    "Columns",
    "Log",
    "Record",
    "open_log",
    "open_records",
    "open_stream",
    "read_columns",
]
