"""The checkpoint store of a user's trainer: verified copies of the folder into which it writes.

Each copy stays beside its predecessor, in case the disk damages the newer one. No torch here: the
search deletes copies without it.
"""

import hashlib
import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from gantune.config import ExternalConfig
from gantune.io.files import link_or_copy
from gantune.run_folder.trial import TrialFolder
from gantune.trial.records import Position

_log = logging.getLogger(__name__)

_NOTE = ".gantune.json"
"""gantune's note, written into each copy last of all: a copy without it is not whole."""

PRINTED = "output.log"
"""What a command has printed, where that is its log: no checkpoint, but copied with them."""

_FILES = "files"
"""The note's key for size and SHA-256 of each file by its path in the copy."""


class FolderStore:
    """Copies ``checkpoints/`` to ``last/`` at each rung, and to ``best/`` at the best one."""

    best_sampler = None

    def __init__(self, folder: TrialFolder, config: ExternalConfig) -> None:
        self._working = folder.checkpoints
        self._last, self._best = folder.external_last, folder.external_best
        trainer = config.trainer
        self._resumes = isinstance(trainer, str) or trainer.resume is not None
        values = {key: value for key, value in config.values.items() if key != "kimg"}
        self._config = {
            "trainer": str(trainer),
            "values": json.loads(json.dumps(values)),  # as it reads in a note
        }

    @property
    def can_resume(self) -> bool:
        """Whether the trainer can resume, and had written anything at the last rung."""
        return self._resumes and holds_files(self._last)

    @property
    def refusal(self) -> str:
        """Says that the stored run cannot be resumed, and what to do."""
        return (
            f"{self._last}: from another config, or damaged, so this training can only start "
            "from scratch; resume with the same config, or train into another --out"
        )

    def resume_points(self) -> Iterator[Position]:
        """The last rung's copy, if it is of this config and the trainer wrote anything into it."""
        note = read_copy(self._last) if self._resumes else None
        if note is not None and note["config"] == self._config and holds_files(self._last):
            yield Position(note["kimg"], note["step"], note["seconds"])

    def restore_best(self, kimg: float) -> bool:
        """Makes ``best/`` the copy that was taken at ``kimg``, from whichever whole copy has it."""
        for place in (self._best, _backup(self._best), self._last, _backup(self._last)):
            note = _verified_note(place)
            if note is None or note["kimg"] != kimg:
                continue
            if place != self._best:
                keep_copy(place, self._best, _without_files(note), linked=True)
            return True
        _log.warning("%s: the files of %g kimg are lost", self._best, kimg)
        return False

    def load(self, point: Position) -> Position:
        """Makes ``checkpoints/`` hold what the last rung's copy holds."""
        restore(self._last, self._working)
        return point

    def clear(self) -> None:
        """Deletes all copies, and makes ``checkpoints/`` an empty folder."""
        drop_copy(self._last)
        drop_copy(self._best)
        make_empty(self._working)

    def snapshot(self, position: Position) -> Position:
        """Where the run is now. Its files stay as they are: the trainer waits for ``save``."""
        return position

    def save(self, snapshot: Position, *, is_best: bool) -> None:
        """Copies ``checkpoints/`` to ``last/``, and links that as ``best/`` at the best rung."""
        keep_copy(self._working, self._last, self._note(snapshot))
        if is_best:
            keep_copy(self._last, self._best, self._note(snapshot), linked=True)

    def flush(self) -> None:
        """``save`` has done all."""

    def save_unranked(self, position: Position) -> None:
        """Copies ``checkpoints/`` to ``best/``, for a run that ended before its first rung."""
        keep_copy(self._working, self._best, self._note(position))

    def _note(self, position: Position) -> dict[str, Any]:
        about = {"kimg": position.kimg, "seconds": position.seconds, "step": position.step}
        return {**about, "config": self._config}


def keep_copy(folder: Path, copy: Path, note: Mapping[str, Any], *, linked: bool = False) -> None:
    """Makes ``copy`` hold what ``folder`` holds, whole or not at all, with a note for gantune.

    ``linked``: the files are hard links, as nobody writes to either side. Raises ``OSError``.
    """
    new, backup = _beside(copy, "new"), _backup(copy)
    shutil.rmtree(new, ignore_errors=True)
    copy_file: Callable[[str, str], object] = link_or_copy if linked else shutil.copy2
    if folder.exists():
        shutil.copytree(folder, new, symlinks=True, copy_function=copy_file)
    new.mkdir(exist_ok=True)
    (new / _NOTE).unlink(missing_ok=True)  # a hard link to the note of ``folder``
    content = {**note, _FILES: _manifest(new)}
    (new / _NOTE).write_text(json.dumps(content), encoding="utf-8")
    if copy.exists():
        shutil.rmtree(backup, ignore_errors=True)
        copy.rename(backup)  # if a kill comes here, ``read_copy`` finds the backup
    new.rename(copy)


def read_copy(copy: Path) -> dict[str, Any] | None:
    """The note of a whole copy; ``None`` where there is none.

    Warns of a damaged copy, and replaces it by its backup.
    """
    note = _verified_note(copy)
    if note is None and (note := _verified_note(_backup(copy))) is not None:
        shutil.rmtree(copy, ignore_errors=True)
        _backup(copy).rename(copy)
    return None if note is None else _without_files(note)


def holds_files(copy: Path) -> bool:
    """Whether there is a copy, whole or damaged, of anything that the trainer wrote."""
    places = [path for path in (copy, _backup(copy)) if (path / _NOTE).exists()]
    names = {path.name for place in places for path in place.iterdir()}
    return bool(names - {_NOTE, PRINTED})


def restore(copy: Path, folder: Path) -> None:
    """Makes ``folder`` hold what a whole copy holds."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(copy, folder, symlinks=True, ignore=shutil.ignore_patterns(_NOTE))


def make_empty(folder: Path) -> None:
    """Makes it an empty folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)


def drop_copy(copy: Path) -> None:
    """Deletes a copy, its backup, and what a kill left of a new one."""
    shutil.rmtree(copy, ignore_errors=True)
    remove_backups(copy)


def remove_backups(copy: Path) -> None:
    """Deletes a copy's backup, and what a kill left of a new one."""
    shutil.rmtree(_beside(copy, "new"), ignore_errors=True)
    shutil.rmtree(_backup(copy), ignore_errors=True)


def _verified_note(path: Path) -> dict[str, Any] | None:
    """A copy's note, if all files are as it says."""
    try:
        note: dict[str, Any] = json.loads((path / _NOTE).read_text(encoding="utf-8"))
        changed = [
            name
            for name, identity in note[_FILES].items()
            if _file_identity(path / name, identity[0]) != identity
        ]
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        _log.warning("%s: damaged (%s); not used", path, error)
        return None
    if changed:
        _log.warning("%s: damaged: %s is not what was saved; not used", path, changed[0])
        return None
    return note


def _manifest(folder: Path) -> dict[str, Any]:
    """Size and SHA-256 of each file below a folder; symbolic links are not followed."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink())
    return {str(path.relative_to(folder)): _file_identity(path) for path in files}


def _file_identity(path: Path, size: int | None = None) -> list[Any] | None:
    """A file's size and SHA-256; ``None`` if it is missing, or of another size than ``size``."""
    try:
        with path.open("rb") as file:
            found = os.fstat(file.fileno()).st_size
            if size is not None and found != size:
                return None
            return [found, hashlib.file_digest(file, "sha256").hexdigest()]
    except FileNotFoundError:
        return None


def _without_files(note: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in note.items() if key != _FILES}


def _backup(copy: Path) -> Path:
    return _beside(copy, "old")


def _beside(copy: Path, what: str) -> Path:
    return copy.with_name(f".{copy.name}.{what}")
