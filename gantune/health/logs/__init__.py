"""Reads the logs of any trainer, record by record. Imports neither torch nor Optuna."""

from gantune.health.logs.columns import Columns, read_columns
from gantune.health.logs.log import Log, open_log, open_records, open_stream
from gantune.health.logs.records import Record

__all__ = ["Columns", "Log", "Record", "open_log", "open_records", "open_stream", "read_columns"]
