"""The run folder: the paths of its files, its lock, and the scores that its files hold. Imports
neither torch nor Optuna."""

import fcntl
import glob
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gantune.errors import RunError
from gantune.io.formatting import whole_number
from gantune.io.validation import did_you_mean
from gantune.run_folder.info import DataInfo, RunInfo, read_data_info, read_run_info
from gantune.run_folder.trial import FileIn, TrialFolder
from gantune.scores.score import Protocol, Score
from gantune.space import shipped_spaces

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class RunFolder:
    """The files of a search."""

    path: Path

    space = FileIn("space.yaml")
    """The space with overrides merged in and absolute paths."""
    info = FileIn("run.json")
    """How the search was started: study, storage, command, versions, protocol."""
    journal = FileIn("study.journal")
    """Optuna's journal, where the study is not in a database."""
    best = FileIn("best.yaml")
    """The best config so far, as a file that training imports."""
    margins = FileIn("margins.json")
    """How far the winner's rates stand from failing, where that was trained."""
    table = FileIn("trials.csv")
    """All trials as a table."""
    log = FileIn("log.txt")
    """All messages, one a line."""
    artifacts = FileIn("artifacts")
    """Folder of all pictures under their identities, for dashboards."""
    real = FileIn("real.png")
    """Some real images, to compare samples with; missing where none are learned."""
    report = FileIn("report.html")
    """The report as a page."""
    extractor = FileIn("extractor")
    """Folder of the feature extractor for all scores of this run."""

    def trial(self, name: str) -> TrialFolder:
        """The folder of a trial or finalist, by its name such as ``trials/0007``."""
        return TrialFolder(self.path / name)

    def read_info(self) -> RunInfo:
        """Contents of ``run.json``. Raises ``RunError`` where it is missing or damaged."""
        return read_run_info(self.info)

    @property
    def is_running(self) -> bool:
        """Whether a process has locked the run. Raises ``RunError`` where that cannot be known."""
        try:
            with self._lock.open(encoding="utf-8") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        except OSError as error:
            raise RunError(
                f"{self._lock}: cannot be read ({error.strerror}), so whether the search runs is "
                "not known; let this user read it, or remove it where no search runs"
            ) from None
        return False

    @property
    def _lock(self) -> Path:
        return self.path / ".lock"

    @property
    def locked_since(self) -> float:
        """When the last command locked the run, in seconds since 1970."""
        return self._lock.stat().st_mtime

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Locks the run for one driver; the lock ends with its process.

        Raises ``RunError`` where another process has locked it, or the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            if self._lock.is_dir():
                raise RunError(f"{self._lock}: is a folder; remove it")
            file = self._lock.open("a+", encoding="utf-8")
        except OSError as error:
            raise RunError(
                f"{self.path}: cannot be written ({error.strerror}); choose another with --out"
            ) from None
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                file.seek(0)
                raise RunError(
                    f"{self.path}: in use by another gantune (process {file.read().strip()}); wait "
                    "for it, or choose another folder with --out"
                ) from None
            file.truncate(0)
            file.write(str(os.getpid()))
            file.flush()
            yield


def find_run(name: str) -> RunFolder:
    """Finds a run by its folder, or by its study's name under ``runs/``. Raises ``RunError``.

    A search with overrides is in ``runs/NAME-<hash>``: the newest of these, if no other matches.
    Warns where a study's name fits several runs.
    """
    is_name = len(Path(name).parts) == 1 and not Path(name).is_absolute()
    overridden = Path("runs").glob(f"{glob.escape(name)}-??????/run.json") if is_name else iter(())
    newest_first = sorted(overridden, key=lambda path: path.stat().st_mtime, reverse=True)
    named = [path for path in (Path(name), Path("runs") / name) if (path / "run.json").exists()]
    fitting = [*named, *(path.parent for path in newest_first)]
    if fitting:
        if len(fitting) > 1 and len(Path(name).parts) == 1:
            others = ", ".join(str(path) for path in fitting[1:])
            _log.warning(
                "%s: taken from %s; there is also %s: name the folder to take it",
                name,
                fitting[0],
                others,
            )
        return RunFolder(fitting[0])
    for place in (Path(name), Path("runs") / name):
        inside = sorted(str(path.parent) for path in place.glob("*/run.json"))
        if inside or (place.is_dir() and place == Path(name)):
            hint = f"; inside it are: {', '.join(inside[:5])}" if inside else ""
            if (place / "ticks.jsonl").exists():
                hint = f": it holds one training, of which `gantune diagnose {name}` tells"
            raise RunError(f"{place}: not a run of gantune (it has no run.json){hint}")
    if Path(name).is_file():
        raise RunError(f"{name}: a file, and not a run; a run is a folder, or its study's name")
    if name in shipped_spaces():
        raise RunError(f"{name}: no such run yet; it is a space: `gantune search {name}` runs it")
    known = sorted(path.parent.name for path in Path("runs").glob("*/run.json"))
    there = f"; there are: {', '.join(known)}" if known else "; there are none under runs/"
    raise RunError(f"{name}: no such run{did_you_mean(name, known) or there}")


def find_trial(name: str) -> tuple[RunFolder, int]:
    """Run and number of a name such as ``runs/dcgan#7``. Raises ``RunError``."""
    run, _, number = name.rpartition("#")
    if not run or (found := whole_number(number)) is None:
        raise RunError(f"{name}: not the name of a trial; write RUN#NUMBER, such as runs/dcgan#7")
    return find_run(run), found


def read_images(home: Path) -> DataInfo | None:
    """The images of the run that a folder belongs to, at the place where it had them last.

    ``home``: the folder of a training, a search, a trial or a finalist. ``None`` for any other, and
    where a trainer gives its own scores. Raises ``RunError`` for a damaged file.
    """
    training = TrialFolder(home.resolve())
    if training.data.exists():
        return read_data_info(training.data)
    for search in (RunFolder(training.path), RunFolder(training.path.parent.parent)):
        if search.info.exists():
            return search.read_info().data
    return None


# ---- Stored scores and their protocols -----------------------------------------------------------


def read_protocol(folder: RunFolder) -> Protocol:
    """The full protocol of a run that has started.

    Raises ``RunError`` where it is missing or another version of gantune wrote it.
    """
    return _protocol(folder, folder.read_info().protocol)


def read_rung_protocol(folder: RunFolder) -> Protocol | None:
    """The protocol of scores at rungs; ``None`` where the run does not store it.

    Raises ``RunError`` where another version wrote it.
    """
    fields = folder.read_info().rung_protocol if folder.info.exists() else None
    return None if fields is None else _protocol(folder, fields)


def _protocol(folder: RunFolder, fields: Any) -> Protocol:
    try:
        return Protocol.from_dict(fields)
    except ValueError:
        raise _wrong_version(folder.path) from None


def read_score(path: Path, line: Mapping[str, Any]) -> Score:
    """The score in a line of ``scores.jsonl`` of the folder ``path``.

    Raises ``RunError`` where another version wrote it.
    """
    fields = {k: v for k, v in line.items() if k not in ("kimg", "rung", "scoring_seconds")}
    try:
        return Score.from_dict(fields)
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _wrong_version(path) from None


def _wrong_version(path: Path) -> RunError:
    return RunError(
        f"{path}: its scores are not in the format of this version of gantune; read it with the "
        "version that wrote it, or start again with another --out"
    )
