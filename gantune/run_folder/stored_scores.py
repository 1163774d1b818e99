"""What goes on is scored as it began: another protocol is refused. No torch here."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.scores.protocol import Protocol
from gantune.scores.score import Score


def read_protocol(folder: RunFolder) -> Protocol:
    """The full protocol of a run that has begun.

    Raises ``RunError`` where there is none, and where another version wrote it.
    """
    info = folder.read_info()
    try:
        return Protocol(**info["protocol"])
    except (KeyError, TypeError):
        raise _other_version(folder.path) from None


def read_rung_protocol(folder: RunFolder) -> Protocol | None:
    """The protocol of a run's rungs; ``None`` where the run does not say it.

    Raises ``RunError`` where another version wrote it.
    """
    fields = folder.read_info().get("rung_protocol") if folder.info.exists() else None
    if fields is None:
        return None
    try:
        return Protocol(**fields)
    except TypeError:
        raise _other_version(folder.path) from None


def read_score(path: Path, line: Mapping[str, Any]) -> Score:
    """A score from a line of ``scores.jsonl`` in the folder ``path``, without kimg and rung.

    Raises ``RunError`` where another version wrote it.
    """
    fields = {k: v for k, v in line.items() if k not in ("kimg", "rung", "scoring_seconds")}
    try:
        return Score.from_dict(fields)
    except (AttributeError, KeyError, TypeError):
        raise _other_version(path) from None


def _other_version(path: Path) -> RunError:
    return RunError(
        f"{path}: its scores are not in the form of this version of gantune; look at it with the "
        "version that wrote it, or begin anew with another --out"
    )
