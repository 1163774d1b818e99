"""The files of a command's run: its folder, its settings, its checkpoints, and its arguments."""

from __future__ import annotations

import json
from collections.abc import Mapping
from glob import escape
from pathlib import Path
from typing import Any

from gantune.config import Command
from gantune.config.command import NOT_IN_FILES
from gantune.errors import TrainerError
from gantune.io.files import matching_paths, write_text
from gantune.io.yaml_document import format_document
from gantune.trial.session import Session

_SUFFIXES = (".pt", ".pth", ".ckpt", ".pkl", ".safetensors", ".tar", ".h5", ".npz", ".bin")
_ZIP, _ZIP_END = b"PK", b"PK\x05\x06"
_LONGEST_END = 65_600  # bytes of a zip archive's last record


class CommandFiles:
    """Fills a command's placeholders for one run, and writes the files that they name."""

    def __init__(self, command: Command, settings: Mapping[str, Any], session: Session) -> None:
        self._command, self._settings = command, settings
        self.folder = session.checkpoint_dir
        """The command's ``{folder}``, which is copied at each rung."""
        self.working_folder = Path(command.working_folder or Path.cwd())
        self._start = session.kimg
        device = "cuda" if session.device.type == "cuda" else "cpu"
        self._values: dict[str, Any] = {"folder": str(self.folder), "device": device}

    def command_line(self, *, resumes: bool) -> list[str]:
        """The arguments of the run. Raises ``TrainerError`` where a run that ``resumes`` has no
        checkpoint."""
        own = {key: value for key, value in self._settings.items() if key not in NOT_IN_FILES}
        texts = {"settings.yaml": format_document(own), "settings.json": json.dumps(own, indent=2)}
        for name in texts.keys() & self._command.passed:
            path = self.folder.parent / name
            write_text(path, texts[name], sync=False)
            self._values[name] = str(path)
        if resumes:
            self._values |= self._resumed()
        return self._command.command_line(self._settings, self._values, resumes=resumes)

    def environment(self) -> dict[str, str]:
        """The variables that the command asks for."""
        fill = self._command.filled
        return {
            name: fill(text, self._settings, self._values)
            for name, text in self._command.environment.items()
        }

    def path(self, text: str) -> str:
        """A path or glob of the command, from its working folder."""
        filled = self._command.filled(text, self._settings, self._values, is_glob=True)
        return str(Path(escape(str(self.working_folder))) / filled)

    def _resumed(self) -> dict[str, Any]:
        """The placeholders of a run that resumes. Raises ``TrainerError``."""
        values = self._command.resumed_values(self._start, self._settings)
        if any(name == "checkpoint" for name, _ in self._command.placeholders):
            found = [path for path in self._checkpoints() if _is_whole(path)]
            if not found:
                raise TrainerError(
                    f"no checkpoint to resume from in {self.folder}; name its files, such as "
                    "checkpoint: '{folder}/*.pt', in the space"
                )
            values["checkpoint"] = str(max(found, key=lambda path: path.stat().st_mtime_ns))
        return values

    def _checkpoints(self) -> list[Path]:
        if self._command.checkpoint is not None:
            pattern = self.path(self._command.checkpoint)
            return matching_paths(pattern)
        return [path for path in self.folder.rglob("*") if path.suffix in _SUFFIXES]


def _is_whole(path: Path) -> bool:
    """Whether a checkpoint was written to its end, as far as its format tells: torch's files are
    zip archives, whose directory comes last. A folder is taken as it is."""
    if path.is_dir():
        return True
    with path.open("rb") as file:
        if file.read(len(_ZIP)) != _ZIP:
            return path.stat().st_size > 0
        file.seek(max(0, path.stat().st_size - _LONGEST_END))
        return _ZIP_END in file.read()
