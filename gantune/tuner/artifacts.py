"""Notes and pictures in optuna-dashboard's own form."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantune.io.files import write_bytes
from gantune.run_folder.run import RunFolder

# Notes in the form in which optuna-dashboard keeps them: attributes of the study.
#
# Its own ``save_note`` is not called here: importing that package takes seconds, and a driver has
# no other use for it.


_PIECE = 2045  # characters; what MySQL takes


_OURS = 1  # version; each change by a person counts one up


def note_attributes(
    text: str, trial_id: int | None, known: Mapping[str, Any]
) -> Mapping[str, str | int]:
    """The study's attributes that make ``text`` the note of the study, or of one of its trials.

    ``known``: the attributes that it has. None where a person has changed the note.
    """
    home = "dashboard:" if trial_id is None else f"dashboard:{trial_id}:"
    if known.get(f"{home}note_ver", _OURS) > _OURS:
        return {}
    pieces = [text[start : start + _PIECE] for start in range(0, len(text), _PIECE)]
    wanted: dict[str, str | int] = {f"{home}note_str:{k}": part for k, part in enumerate(pieces)}
    wanted |= {f"{home}note_ver": _OURS}
    left = len(pieces)
    while known.get(f"{home}note_str:{left}"):  # of a longer note before it
        wanted[f"{home}note_str:{left}"] = ""
        left += 1
    return {key: value for key, value in wanted.items() if known.get(key) != value}


# Pictures of runs as Optuna's artifacts: each also lies, under its identity, in one folder.
#
# That is where a dashboard looks for them (``optuna-dashboard --artifact-dir``). They are the same
# files by hard links, and so take no room; where the disk knows none, they are copies.


_SPACE = uuid.UUID("6f1d7f0e-6d0b-4c53-9a53-8f3b0d3f2a41")  # of identities; any constant one


@dataclass(frozen=True)
class Picture:
    """One picture of a run of training."""

    path: Path
    identity: str
    """Of its name, so that linking it again is no second artifact."""
    kimg: float | None
    """When it was drawn, of a sample grid; ``None`` of the picture of neighbours."""

    @property
    def key(self) -> str:
        """Under which attribute of its trial Optuna keeps what it is."""
        return f"artifacts:{self.identity}"

    @property
    def meta(self) -> str:
        """What Optuna keeps there."""
        kind = {"mimetype": "image/png", "encoding": None}
        return json.dumps({"artifact_id": self.identity, "filename": self.path.name, **kind})


def link_pictures(run: RunFolder, name: str) -> list[Picture]:
    """Links the pictures that the run ``name`` has by now, such as ``trials/0007``: sample
    grids in order of their kimg, then neighbours. Raises ``OSError``."""
    home = run.trial(name)
    pictures = [
        Picture(path, str(uuid.uuid5(_SPACE, f"{name}/{path.name}")), kimg)
        for kimg, path in (*home.grids().items(), (None, home.neighbours))
        if path.exists()
    ]
    for picture in pictures:
        _link(picture.path, run.artifacts / picture.identity)
    return pictures


def _link(path: Path, target: Path) -> None:
    if target.exists() and target.samefile(path):
        return
    target.parent.mkdir(exist_ok=True)
    target.unlink(missing_ok=True)  # of an earlier try of the same run
    try:
        target.hardlink_to(path)
    except OSError:
        write_bytes(target, path.read_bytes())
