"""Writing a file whole or not at all, and sharing one."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gantune.errors import DISK_FULL, RunError


def write_text(path: Path | str, text: str) -> None:
    """``write_bytes`` of the text in UTF-8. Raises ``OSError``."""
    write_bytes(path, text.encode())


def write_bytes(path: Path | str, content: bytes | memoryview, former: Path | None = None) -> None:
    """Writes to a temporary file beside ``path``, syncs it to the disk, then renames it.

    A crash or a full disk leaves the former file as it was. ``former``: where that goes once the
    new one is whole. Missing folders are made. Raises ``OSError``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if former is not None and path.exists():
            path.replace(former)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def link_or_copy(source: str, target: str) -> None:
    """Makes ``target`` the same file, or a copy where the file system knows no links.

    For ``shutil.copytree``, of what nobody writes to on either side. Raises ``OSError``.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Around the writing of a file that the user named: it fails with ``RunError``."""
    try:
        yield
    except OSError as error:
        if error.errno in DISK_FULL:
            raise
        raise RunError(f"{path}: cannot be written ({error.strerror})") from None
