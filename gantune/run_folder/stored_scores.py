"""Protocols and scores from the files of a run. Does not import torch."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.scores.protocol import Protocol
from gantune.scores.score import Score


def read_protocol(folder: RunFolder) -> Protocol:
    """The full protocol of a run that has started.

    Raises ``RunError`` where it is missing or another version of gantune wrote it.
    """
    info = folder.read_info()
    try:
        return Protocol(**info["protocol"])
    except (KeyError, TypeError):
        raise _wrong_version(folder.path) from None


def read_rung_protocol(folder: RunFolder) -> Protocol | None:
    """The protocol of scores at rungs; ``None`` where the run does not store it.

    Raises ``RunError`` where another version wrote it.
    """
    fields = folder.read_info().get("rung_protocol") if folder.info.exists() else None
    if fields is None:
        return None
    try:
        return Protocol(**fields)
    except TypeError:
        raise _wrong_version(folder.path) from None


def read_score(path: Path, line: Mapping[str, Any]) -> Score:
    """The score in a line of ``scores.jsonl`` of the folder ``path``.

    Raises ``RunError`` where another version wrote it.
    """
    fields = {k: v for k, v in line.items() if k not in ("kimg", "rung", "scoring_seconds")}
    try:
        return Score.from_dict(fields)
    except (AttributeError, KeyError, TypeError):
        raise _wrong_version(path) from None


def _wrong_version(path: Path) -> RunError:
    return RunError(
        f"{path}: its scores are not in the format of this version of gantune; read it with the "
        "version that wrote it, or start again with another --out"
    )
