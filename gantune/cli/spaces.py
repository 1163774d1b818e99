"""``init``: a space to start from."""

from __future__ import annotations

from pathlib import Path

from gantune.cli import options
from gantune.errors import RunError
from gantune.report.exits import writing

__all__ = ["init"]


def init(
    name: options.Name = "dcgan",
    out: options.SpaceFile = None,
    force: options.Force = False,
    names: options.ListNames = False,
) -> None:
    """Write a commented search space to start from."""
    from gantune.files import write_text
    from gantune.space import shipped_spaces, shipped_text

    if names:
        for known, title in shipped_spaces().items():
            print(f"{known:<14}{title}")
        return
    text = shipped_text(name)
    path = out or Path("spaces") / f"{name}.yaml"
    if path.exists() and not force:
        raise RunError(
            f"{path}: is there already; write over it with --force, or choose another -o"
        )
    with writing(path):
        write_text(path, text)
    print(f"wrote {path}; search it with: gantune search {path}")
