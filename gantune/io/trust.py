"""What code, and which databases, this user has agreed to use.

A run folder may come from a stranger. It names code (an extractor's factory, a trainer) and maybe
a database. A user who names a space file, or a config by its own path, agrees to run the code that
it names. A user who names a run, its ``best.yaml`` or a checkpoint does not: then only code runs
that this user has used before. A file in the user's state folder lists its hashes; others there
note which files they are of, so that a refusal can name what is new.
"""

import atexit
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.machinery import PathFinder, all_suffixes
from pathlib import Path
from typing import Any

from gantune.errors import TrustError
from gantune.io.files import write_text
from gantune.io.formatting import first_names
from gantune.io.home import home

_FILE = "trusted.txt"
_allowed: set[str] = set()
_ANYTHING = "anything"
_SUFFIXES = tuple(all_suffixes())  # of modules: source, bytecode, compiled extensions
_NAMED = 5  # files in a message
_SETTLED = 2_000_000_000  # ns; a file written since then may change again without a new time
_hashes: dict[Path, tuple[tuple[int, ...], bytes]] = {}
"""SHA-256 of files that this process has read, with what of their metadata tells a change."""


@dataclass(frozen=True)
class UserCode:
    """Code that a file names: ``package.module:name`` or ``file.py:name``."""

    entry: str
    folder: Path
    """Where its modules are searched first."""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    """What it is called with, where the naming file says so."""

    @property
    def home(self) -> Path:
        """The folder that its modules come from: that of a file, else ``folder``."""
        module = self.entry.rpartition(":")[0]
        return Path(module).parent if module.endswith(".py") else self.folder

    @property
    def digest(self) -> str:
        """SHA-256 over entry, arguments and every file below the folder that Python can import.

        Files in hidden folders are left out, as no import finds them, and so are caches of
        bytecode; of an installed module its own file counts.
        """
        digest = hashlib.sha256(json.dumps([self.entry, self.arguments], sort_keys=True).encode())
        for name, content in self.files.items():
            digest.update(f"\0{name}\0".encode(errors="surrogateescape"))
            digest.update(bytes.fromhex(content))
        return digest.hexdigest()

    @property
    def files(self) -> dict[str, str]:
        """SHA-256 of these files by their names in the folder; empty for one that is unreadable."""
        found = {}
        for name, file in self._files():
            found[name] = ""
            with suppress(OSError):
                found[name] = _content_hash(file).hex()
        return found

    @property
    def changes(self) -> str:
        """In words, how it differs from what this user has used last under this name; empty where
        that is not known."""
        try:
            used = json.loads(self._used.read_text(encoding="utf-8")) if self._used else {}
        except (OSError, ValueError):
            return ""
        before, now = used.get("files"), self.files
        if before is None:
            return ""
        kinds = {
            "new": [name for name in now if name not in before],
            "changed": [name for name in now if name in before and now[name] != before[name]],
            "gone": [name for name in before if name not in now],
        }
        told = [f"{kind}: {first_names(names, _NAMED)}" for kind, names in kinds.items() if names]
        if used["arguments"] != json.loads(json.dumps(self.arguments)):
            told.append(f"other arguments: {json.dumps(self.arguments)}")
        return "; ".join(told)

    def keep(self) -> None:
        """Notes its files, for ``changes``. Raises ``OSError``."""
        if (file := self._used) is not None:
            text = json.dumps({"arguments": self.arguments, "files": self.files})
            write_text(file, text, sync=False)

    @property
    def _used(self) -> Path | None:
        key = hashlib.sha256(json.dumps([self.entry, str(self.home)]).encode()).hexdigest()
        folder = state_folder()
        return None if folder is None else folder / "used" / f"{key[:32]}.json"

    def _files(self) -> Iterator[tuple[str, Path]]:
        module = self.entry.rpartition(":")[0]
        top = module.partition(".")[0]
        is_file = module.endswith(".py")
        if is_file or PathFinder.find_spec(top, [str(self.folder)]) is not None:
            yield from _python_files(self.home)
        elif (spec := PathFinder.find_spec(top)) is not None and spec.origin:
            yield spec.origin, Path(spec.origin)


@dataclass(frozen=True)
class UserCommand(UserCode):
    """A command, which counts by all that its file says of it and by its folder, whatever the
    program does. ``arguments`` says all that."""

    @property
    def home(self) -> Path:
        """The folder in which it runs."""
        return self.folder

    @property
    def files(self) -> dict[str, str]:
        """None: a command may use any file."""
        return {}


def allow_everything() -> None:
    """Lets this process use whatever is named: for ``--trust``, and for workers, since their driver
    has checked."""
    _allowed.add(_ANYTHING)


def allowances() -> frozenset[str]:
    """What this process has been told to allow, for ``adopt`` in a child of it."""
    return frozenset(_allowed)


def adopt(allowed: Iterable[str]) -> None:
    """Allows what the parent of this process allows."""
    _allowed.update(allowed)


def remember(what: UserCode | str) -> None:
    """Notes code, or a database's address without a password, that the user has named.

    It counts in this process, and later where the user's state folder can be written.
    """
    line = _line(what)
    _allowed.add(line)
    file = _file()
    if file is None:
        return
    with suppress(OSError):  # a home that is read-only: the agreement is for this process only
        if line not in _lines(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("a", encoding="utf-8") as opened:
                opened.write(f"{line}\n")
        if isinstance(what, UserCode):
            what.keep()


def is_trusted(what: UserCode | str) -> bool:
    """Whether the user has named it, in this process or before."""
    if _ANYTHING in _allowed:
        return True
    line, file = _line(what), _file()
    return line in _allowed or (file is not None and line in _lines(file))


def check_code(code: UserCode, place: str) -> None:
    """Raises ``TrustError`` for code that the user has not named before.

    ``place``: the file that names it.
    """
    if is_trusted(code):
        _ignore_bytecode()
        return
    since = f" (since you used it, {changes})" if (changes := code.changes) else ""
    raise TrustError(
        f"{place}: would run code that you have not used before: {code.entry} in {code.home}"
        f"{since}; look at it, and allow it for one command with --trust"
    )


def check_database(address: str, place: str) -> None:
    """Raises ``TrustError`` for a database that the user has not named before.

    ``address``: its URL without a password. ``place``: the file that names it.
    """
    if not is_trusted(address):
        raise TrustError(
            f"{place}: names a database that you have not used before: {address}; reading would "
            "log in there as you; allow it for one command with --trust"
        )


def state_folder() -> Path | None:
    """``gantune`` in the user's state folder: ``XDG_STATE_HOME``, else ``~/.local/state``; ``None``
    without a home."""
    if shared := os.environ.get("XDG_STATE_HOME"):
        return Path(shared) / "gantune"
    found = home()
    return None if found is None else found / ".local/state/gantune"


def _file() -> Path | None:
    folder = state_folder()
    return None if folder is None else folder / _FILE


def _lines(file: Path) -> set[str]:
    try:
        return set(file.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError:
        return set()


def _line(what: UserCode | str) -> str:
    if isinstance(what, str):
        return f"database {hashlib.sha256(what.encode()).hexdigest()}"
    return f"code {what.digest}"


def _content_hash(file: Path) -> bytes:
    """SHA-256 of a file. One command asks for it several times; it is read once while unchanged."""
    about = file.stat()
    stamp = (about.st_dev, about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns)
    if file in _hashes and _hashes[file][0] == stamp:
        return _hashes[file][1]
    with file.open("rb") as opened:
        found = hashlib.file_digest(opened, "sha256").digest()
    if time.time_ns() - about.st_ctime_ns > _SETTLED:
        _hashes[file] = stamp, found
    return found


def _ignore_bytecode() -> None:
    """Keeps this process from reading ``__pycache__``: what lies there need not be the bytecode of
    the source beside it, and does not count in a digest."""
    if _ANYTHING not in _allowed and sys.pycache_prefix is None:
        folder = tempfile.mkdtemp(prefix="gantune-bytecode-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        sys.pycache_prefix = folder


def _python_files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Files below a folder that Python can import, with their paths in it, in order of these.

    Links to folders are followed, as an import does; of a circle each folder counts once.
    """
    found, seen = [], set()
    for place, folders, files in os.walk(folder, followlinks=True):
        if (real := os.path.realpath(place)) in seen:
            folders.clear()
            continue
        seen.add(real)
        folders[:] = sorted(
            name for name in folders if not name.startswith(".") and name != "__pycache__"
        )
        found += [Path(place, name) for name in files if name.endswith(_SUFFIXES)]
    named = ((file.relative_to(folder).as_posix(), file) for file in found)
    yield from sorted(named)
