"""``~`` in paths, and what takes the place of a home where a user has none."""

import getpass
import os
import stat
import tempfile
from pathlib import Path

from gantune.errors import HomeError


def expand_home(path: str) -> str:
    """A path as its user means it: ``~`` at its start is the user's home, ``~name`` another's.

    Raises ``HomeError`` where there is no such home. A path that exists as it is written stays.
    """
    if not path.startswith("~") or os.path.lexists(path):
        return path
    found = os.path.expanduser(path)  # noqa: PTH111 - a Path would lose the form of the text
    if found != path:
        return found
    user = path.partition("/")[0]
    if user == "~":
        raise HomeError(f"{path}: this user has no home; set HOME, or write the whole path")
    raise HomeError(f"{path}: there is no user {user[1:]!r}; a file of this name is ./{path}")


def home() -> Path | None:
    """The user's home; ``None`` for a user id without one, as in a container."""
    try:
        found = Path.home()
    except RuntimeError:
        return None
    return None if found == _substitute() else found


def home_or_substitute() -> Path:
    """The user's home, else a folder among the temporary ones that only this user can enter.

    Raises ``HomeError`` where somebody else has such a folder already.
    """
    if found := home():
        return found
    folder = _substitute()
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        about = folder.lstat()
    except OSError as error:
        raise HomeError(f"{folder}: {error.strerror}; set HOME to a folder of your own") from None
    is_own = stat.S_ISDIR(about.st_mode) and about.st_uid == os.getuid()
    if not is_own or about.st_mode & 0o077:
        raise HomeError(f"{folder}: open to other users; set HOME to a folder of your own")
    return folder


def provide_user() -> None:
    """Gives this process and its children a home and a user's name where they have none.

    Libraries ask for both, fail without a name, and write into a folder called ``~`` without a
    home.
    """
    if home() is None:
        os.environ["HOME"] = str(home_or_substitute())
    try:
        getpass.getuser()
    except Exception:  # KeyError before Python 3.13, then OSError
        os.environ["USER"] = str(os.getuid())


def _substitute() -> Path:
    return Path(tempfile.gettempdir()) / f"gantune-{os.getuid()}"
