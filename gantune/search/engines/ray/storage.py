"""``Storage``: the folder through which a search's checkpoints go, wherever it lies.

All machines of a cluster see it, and it holds nothing that is not in the run folder, or will be.
"""

from __future__ import annotations

import hashlib
import socket
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder

if TYPE_CHECKING:
    from ray.tune import Checkpoint

__all__ = ["Storage"]


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
