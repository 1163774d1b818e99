"""Pictures of runs as Optuna's artifacts: each also lies, under its identity, in one folder.

That is where a dashboard looks for them (``optuna-dashboard --artifact-dir``). They are the same
files by hard links, and so take no room; where the disk knows none, they are copies.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from pathlib import Path

from gantune.io.files import write_bytes
from gantune.run_folder.run import RunFolder

__all__ = ["Picture", "link_pictures"]

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
