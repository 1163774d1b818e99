"""A trial's files on their way between machines: exported into checkpoints, imported from them."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantune.errors import RunError
from gantune.io.files import link_or_copy
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder

if TYPE_CHECKING:
    from ray.tune import Checkpoint


class SharedFiles:
    """A search's folder in the storage that ``--checkpoints`` names; can be sent to workers.

    All machines of a cluster see it. It holds nothing but copies of what is in the run folder, or
    will be. By default it lies within that. In a place that a user names, which other machines may
    use too, the experiment's name tells the runs apart.
    """

    def __init__(self, checkpoints: str | None, folder: RunFolder, study: str) -> None:
        home = str(folder.path.resolve())
        owner = home if checkpoints is None else f"{socket.gethostname()} {home}"
        self.place, self._is_ours = checkpoints or f"{home}/ray", checkpoints is None
        self.experiment = f"{study}-{hashlib.sha256(owner.encode()).hexdigest()[:8]}"

    def create(self) -> None:
        """Creates the folder, without what a killed search has left. Raises ``RunError``."""
        try:
            self._delete("")
            self.write("begun", "")
        except Exception as error:  # each kind of store has its own
            raise RunError(
                f"--checkpoints {self.place}: cannot be used: {error}; give a folder that all "
                "machines of the cluster see and may write, or a store's URL such as "
                "s3://bucket/path with its credentials in the environment"
            ) from None

    def remove(self) -> None:
        """Removes the folder, and the run folder's ``ray/`` once that is empty."""
        self._delete("")
        if self._is_ours:
            with suppress(OSError):  # not empty: another search's files are in it
                Path(self.place).rmdir()

    def upload(self, folder: Path, name: str) -> Checkpoint:
        """Copies a local folder into it."""
        from pyarrow import fs
        from ray.tune import Checkpoint

        filesystem, path = self._at(name)
        filesystem.create_dir(path)
        fs.copy_files(str(folder), path, destination_filesystem=filesystem)
        return Checkpoint(path, filesystem=filesystem)

    def write(self, name: str, text: str) -> None:
        """Writes a small file."""
        filesystem, path = self._at(name)
        filesystem.create_dir(str(Path(path).parent))
        with filesystem.open_output_stream(path) as file:
            file.write(text.encode())

    def holds(self, name: str) -> bool:
        """Whether this machine sees a file in it."""
        from pyarrow import fs

        filesystem, path = self._at(name)
        return bool(filesystem.get_file_info(path).type == fs.FileType.File)

    def take(self, name: str) -> str | None:
        """Reads and removes a small file; ``None`` if there is none."""
        filesystem, path = self._at(name)
        try:
            with filesystem.open_input_stream(path) as file:
                text = file.readall().decode()
            filesystem.delete_file(path)
            return str(text)
        except FileNotFoundError:
            return None

    def drop_trial(self, name: str) -> None:
        """Removes all files of a trial."""
        self._delete(name)
        self._delete(f"start/{name}")

    def _delete(self, name: str) -> None:
        filesystem, path = self._at(name)
        with suppress(FileNotFoundError):
            filesystem.delete_dir(path)

    def _at(self, name: str) -> tuple[Any, str]:
        from pyarrow import fs

        filesystem, path = fs.FileSystem.from_uri(self.place)
        return filesystem, str(Path(path) / self.experiment / name)


def is_resumable(folder: TrialFolder) -> bool:
    """Whether a trial's folder holds a checkpoint that training can resume from."""
    return any(path.exists() for path in (folder.last, folder.last_backup, folder.external_last))


@contextmanager
def export_files(folder: TrialFolder, *, has_ended: bool) -> Iterator[Path]:
    """A temporary folder with the files of a trial's checkpoint, as links where possible.

    Left out is the folder in which an external trainer writes, as ``last/`` is its copy. Of a trial
    that has ended, the state for resuming is left out too.
    """
    left_out = {folder.checkpoints.name}
    if has_ended:
        left_out |= {folder.last.name, folder.external_last.name}
        left_out |= {folder.last_backup.name, folder.best_backup.name}
    exported = _staging_folder(folder)

    def ignored(place: str, names: list[str]) -> set[str]:
        return {n for n in names if n in left_out} if Path(place) == folder.path else set()

    try:
        shutil.copytree(folder.path, exported, ignore=ignored, copy_function=link_or_copy)
        yield exported
    finally:
        shutil.rmtree(exported, ignore_errors=True)


def import_files(checkpoint: Checkpoint, folder: TrialFolder) -> None:
    """Moves a checkpoint's files into a trial's folder; the state for resuming comes last.

    A kill in between then leaves ticks and scores beyond ``last.pt``, which a resume truncates, and
    never a ``last.pt`` beyond them. Backups of an external trainer's copies, whose names begin with
    a dot, come after the copies, which would replace them. Raises ``OSError``.
    """
    staged = _staging_folder(folder)
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        checkpoint.to_directory(str(staged))
        last = (folder.last.name, folder.external_last.name)

        def order(path: Path) -> tuple[bool, bool, str]:
            return path.name.startswith("."), path.name in last, path.name

        incoming = sorted(staged.iterdir(), key=order)
        names = {path.name for path in incoming}
        for picture in (*folder.grids().values(), folder.neighbours):
            if picture.name not in names:  # of an earlier try
                picture.unlink(missing_ok=True)
        for path in incoming:
            _replace(path, folder.path / path.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _staging_folder(folder: TrialFolder) -> Path:
    return folder.path.with_name(f".{folder.path.name}.{secrets.token_hex(8)}")


def _replace(source: Path, target: Path) -> None:
    """Moves a file or a whole folder to its place, after it is synced to disk."""
    for path in (source, *source.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if not target.is_dir():
        source.replace(target)
        return
    old = target.with_name(f".{target.name}.old")  # the name under which a backup is looked for
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    source.replace(target)
    shutil.rmtree(old, ignore_errors=True)
