"""``Start``: the weights that a training began with, where they were another run's."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from gantune.errors import RunError
from gantune.io.files import write_text
from gantune.search.trial_folder import TrialFolder

__all__ = ["Start", "read_start", "same_start", "write_start"]


@dataclass(frozen=True)
class Start:
    """A checkpoint as it was when a training began with its weights."""

    checkpoint: str
    """Its absolute path."""
    kimg: float
    """Thousands of real images that the weights had learned from."""

    def __str__(self) -> str:
        return f"the weights of {self.checkpoint}, trained for {self.kimg:g} kimg"


def write_start(folder: TrialFolder, start: Start | None) -> None:
    """Writes ``start.json``; there is none where a training begins with fresh weights."""
    if start is None:
        folder.start.unlink(missing_ok=True)
    else:
        write_text(folder.start, json.dumps(asdict(start)) + "\n")


def read_start(folder: TrialFolder) -> Start | None:
    """What ``write_start`` wrote. Raises ``RunError`` where it is damaged."""
    try:
        return Start(**json.loads(folder.start.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise RunError(f"{folder.start}: damaged ({error}); train into another --out") from None


def same_start(folder: TrialFolder, start_from: Path | str | None) -> Start | None:
    """What the training in a folder began with, which must be ``start_from`` where that is given.

    Raises ``RunError`` where it is not.
    """
    earlier = read_start(folder)
    if start_from is None or (earlier and Path(earlier.checkpoint) == Path(start_from).resolve()):
        return earlier
    raise RunError(
        f"{folder.path}: began with {earlier or 'fresh weights'}, not with those of {start_from}; "
        "go on without --from, or train from these into another --out"
    )
