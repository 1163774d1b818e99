"""A trial's files on their way: packed for a checkpoint, and unpacked where they belong."""

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


def goes_on(folder: TrialFolder) -> bool:
    """Whether a trial's folder holds something to go on from."""
    return any(path.exists() for path in (folder.last, folder.last_backup, folder.external_last))


@contextmanager
def packed(folder: TrialFolder, *, has_ended: bool) -> Iterator[Path]:
    """A folder of what a checkpoint of the trial is made of, by links where they can be had.

    That is all of it but the folder in which another trainer writes, of which ``last/`` is the
    copy; of one that has ended also not what training would go on from.
    """
    left_out = {folder.checkpoints.name}
    if has_ended:
        left_out |= {folder.last.name, folder.external_last.name}
        left_out |= {folder.last_backup.name, folder.best_backup.name}
    parcel = folder.path.with_name(f".{folder.path.name}.{secrets.token_hex(8)}")

    def ignored(place: str, names: list[str]) -> set[str]:
        return {n for n in names if n in left_out} if Path(place) == folder.path else set()

    try:
        shutil.copytree(folder.path, parcel, ignore=ignored, copy_function=link_or_copy)
        yield parcel
    finally:
        shutil.rmtree(parcel, ignore_errors=True)


def unpack(checkpoint: Checkpoint, folder: TrialFolder) -> None:
    """Brings a checkpoint's files into a trial's folder; what training goes on from comes last.

    So a kill in the midst leaves ticks and scores that reach beyond ``last.pt``, which are cut
    back, and never the other way round. The copies before another trainer's newest, whose names
    begin with a dot, come after those, which would take their place. Raises ``OSError``.
    """
    staged = folder.path.with_name(f".{folder.path.name}.{secrets.token_hex(8)}")
    folder.path.mkdir(parents=True, exist_ok=True)
    try:
        checkpoint.to_directory(str(staged))
        last = (folder.last.name, folder.external_last.name)

        def turn(path: Path) -> tuple[bool, bool, str]:
            return path.name.startswith("."), path.name in last, path.name

        incoming = sorted(staged.iterdir(), key=turn)
        names = {path.name for path in incoming}
        for picture in (*folder.grids().values(), folder.neighbours):
            if picture.name not in names:  # of a try before
                picture.unlink(missing_ok=True)
        for path in incoming:
            _place(path, folder.path / path.name)
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _place(source: Path, target: Path) -> None:
    """Moves a file or folder to its place, synced first, as a whole."""
    for path in (source, *source.rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
    if not target.is_dir():
        source.replace(target)
        return
    old = target.with_name(f".{target.name}.old")  # where a copy of another trainer is looked for
    shutil.rmtree(old, ignore_errors=True)
    target.rename(old)
    source.replace(target)
    shutil.rmtree(old, ignore_errors=True)


# ``Storage``: the folder through which a search's checkpoints go, wherever it lies.
#
# All machines of a cluster see it, and it holds nothing that is not in the run folder, or will be.


class Storage:
    """A search's own folder in what ``--checkpoints`` names; may be sent to other processes."""

    def __init__(self, place: str, experiment: str, *, is_ours: bool) -> None:
        self.place, self.experiment = place, experiment
        self._is_ours = is_ours  # the place is of this search alone, and none that a user named

    @classmethod
    def of(cls, checkpoints: str | None, folder: RunFolder, study: str) -> Storage:
        """That of a run; by default within its folder.

        In a place that a user names, which other machines may use too, the name says whose it is.
        """
        home = str(folder.path.resolve())
        whose = home if checkpoints is None else f"{socket.gethostname()} {home}"
        experiment = f"{study}-{hashlib.sha256(whose.encode()).hexdigest()[:8]}"
        return cls(checkpoints or f"{home}/ray", experiment, is_ours=checkpoints is None)

    def begin(self) -> None:
        """Makes it anew, without what a killed search has left. Raises ``RunError``."""
        try:
            self._drop("")
            self.write("begun", "")
        except Exception as error:  # each kind of store has its own
            raise RunError(
                f"--checkpoints {self.place}: cannot be used: {error}; give a folder that all "
                "machines of the cluster see and may write, or a store's URL such as "
                "s3://bucket/path with its credentials in the environment"
            ) from None

    def end(self) -> None:
        """Removes it, and the run folder's ``ray/`` once that is empty."""
        self._drop("")
        if self._is_ours:
            with suppress(OSError):  # it holds what is not of this search
                Path(self.place).rmdir()

    def upload(self, folder: Path, name: str) -> Checkpoint:
        """Copies a local folder into it."""
        from pyarrow import fs
        from ray.tune import Checkpoint

        there, path = self._at(name)
        there.create_dir(path)
        fs.copy_files(str(folder), path, destination_filesystem=there)
        return Checkpoint(path, filesystem=there)

    def write(self, name: str, text: str) -> None:
        """Writes a small file."""
        there, path = self._at(name)
        there.create_dir(str(Path(path).parent))
        with there.open_output_stream(path) as file:
            file.write(text.encode())

    def holds(self, name: str) -> bool:
        """Whether a file is there, as this machine sees it."""
        from pyarrow import fs

        there, path = self._at(name)
        return bool(there.get_file_info(path).type == fs.FileType.File)

    def take(self, name: str) -> str | None:
        """Reads a small file and removes it; ``None`` where there is none."""
        there, path = self._at(name)
        try:
            with there.open_input_stream(path) as file:
                text = str(file.readall().decode())
            there.delete_file(path)
        except FileNotFoundError:
            return None
        return text

    def drop_trial(self, name: str) -> None:
        """Removes what a trial has left in it."""
        self._drop(name)
        self._drop(f"start/{name}")

    def _drop(self, name: str) -> None:
        there, path = self._at(name)
        try:
            there.delete_dir(path)
        except FileNotFoundError:
            return

    def _at(self, name: str) -> tuple[Any, str]:
        from pyarrow import fs

        there, path = fs.FileSystem.from_uri(self.place)
        return there, str(Path(path) / self.experiment / name)
