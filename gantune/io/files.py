"""Atomic writes, links and the error for a file that cannot be written."""

import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gantune.errors import RunError, is_disk_full


def write_text(path: Path | str, text: str, *, sync: bool = True) -> None:
    """Writes text atomically, in UTF-8. Raises ``OSError``."""
    write_bytes(path, text.encode(), sync=sync)


def write_bytes(
    path: Path | str,
    content: bytes | memoryview,
    backup: Path | None = None,
    *,
    sync: bool = True,
) -> None:
    """Writes atomically: to a temporary file in the same folder, synced to disk and then renamed.

    A crash or a full disk leaves the previous file unchanged. ``backup``: where the previous file
    moves once the new one is complete. Without ``sync``, a power cut may leave an empty file.
    Creates missing folders. Raises ``OSError``.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        with temporary.open("xb") as file:
            file.write(content)
            file.flush()
            if sync:
                os.fsync(file.fileno())
        if backup is not None and path.exists():
            path.replace(backup)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path, is_whole: Callable[[Path], bool]) -> Iterator[Path]:
    """A temporary folder to write to, which becomes ``path`` where the block ends without an error.

    ``is_whole``: whether a folder that is there by then is as good: it stays. Any other one is
    replaced. Creates missing parents. Raises ``OSError`` where neither can be.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        if path.exists() and not is_whole(path):
            shutil.rmtree(path, ignore_errors=True)
        try:
            temporary.rename(path)
        except OSError:  # another process was first, or the old one cannot be removed
            if not is_whole(path):
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def link_or_copy(source: str, target: str) -> None:
    """Hard-links ``target`` to ``source``, or copies it where the file system has no links.

    A ``copy_function`` for ``shutil.copytree``; both files must be read-only from then on. Raises
    ``OSError``.
    """
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target)


@contextmanager
def explain_write_errors(path: Path, option: str = "-o") -> Iterator[None]:
    """Raises ``RunError`` where writing ``path``, a file that the user named, fails.

    ``option``: that which names another. A full disk stays an ``OSError``: the command line has its
    own message for it.
    """
    try:
        yield
    except OSError as error:
        if is_disk_full(error):
            raise
        raise RunError(
            f"{path}: cannot be written ({error.strerror}); name another file with {option}"
        ) from None


def matching_paths(pattern: str) -> list[Path]:
    """The files and folders that an absolute glob matches."""
    path = Path(pattern)
    return [*Path(path.anchor).glob(str(path.relative_to(path.anchor)))]
