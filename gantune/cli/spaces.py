"""``init``: a space to start from."""

from __future__ import annotations

from pathlib import Path

from gantune.cli.options import spaces as options
from gantune.errors import RunError
from gantune.io.files import writing

__all__ = ["init"]


def init(
    name: options.Name = "dcgan",
    out: options.SpaceFile = None,
    force: options.Force = False,
    names: options.ListNames = False,
) -> None:
    """Write a commented search space to start from."""
    from gantune.io.files import write_text
    from gantune.space import shipped_spaces, shipped_text, shipped_trainer

    if names:
        for known, title in shipped_spaces().items():
            print(f"{known:<14}{title}")
        return
    text = shipped_text(name)
    path = out or Path("spaces") / f"{name}.yaml"
    trainer = shipped_trainer(name)
    files = [(path, text)]
    if trainer is not None:
        files.insert(0, (path.with_name(trainer.name), trainer.read_text(encoding="utf-8")))
    for file, _ in files:
        if file.exists() and not force:
            raise RunError(
                f"{file}: is there already; write over it with --force, or choose another -o"
            )
    for file, content in files:
        with writing(file):
            write_text(file, content)
    if trainer is not None:
        print(f"wrote {files[0][0]}, its trainer")
    print(f"wrote {path}; search it with: gantune search {path}")
