"""The spaces that come with gantune."""

from __future__ import annotations

from pathlib import Path

from gantune.errors import SpaceError
from gantune.io.validation import listed, nearest

__all__ = ["shipped_path", "shipped_spaces", "shipped_text", "shipped_trainer"]


def shipped_spaces() -> dict[str, str]:
    """Names of the shipped spaces, each with its title: the file's first comment line."""
    return {path.stem: _title(path) for path in sorted(_folder().glob("*.yaml"))}


def shipped_path(name: str) -> Path | None:
    """The file of a shipped space, or ``None`` where none has this name."""
    path = _folder() / f"{name}.yaml"
    return path if name in {found.stem for found in _folder().glob("*.yaml")} else None


def shipped_text(name: str) -> str:
    """A shipped space's whole text, comments and all. Raises ``SpaceError`` for no such name."""
    path = shipped_path(name)
    if path is None:
        names = list(shipped_spaces())
        near = nearest(name, names) or f"; there are {listed(names)}"
        raise SpaceError(f"no shipped space is named {name!r}{near}")
    return path.read_text(encoding="utf-8")


def shipped_trainer(name: str) -> Path | None:
    """The file of a trainer that a shipped space names and that lies beside it, if any."""
    path = _folder() / f"{name}.py"
    return path if shipped_path(name) is not None and path.exists() else None


def _title(path: Path) -> str:
    first = path.read_text(encoding="utf-8").split("\n", 1)[0]
    return first.removeprefix("#").strip()


def _folder() -> Path:
    """Inside the package where it is installed, beside it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "search_spaces"
    return installed if installed.is_dir() else package.parent / "search_spaces"
