"""``watch_run``: the live view of a search that another process runs."""

from __future__ import annotations

import re
import time
from pathlib import Path

from rich.console import Console

from gantune.errors import RunError
from gantune.report.live import Terminal, heartbeat
from gantune.report.standing import print_standing
from gantune.run_folder.run import RunFolder, find_run
from gantune.tuner.state import RunReader, RunState

__all__ = ["watch_run"]

_LOOK = 0.25  # seconds from one look at the run to the next
_LOOK_AT_DATABASE = 2.0
_RARELY = 20  # looking takes at most one part in so many of the time
_EARLIER = 5  # lines of what happened before
_TIME = re.compile(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ")


def watch_run(name: str, console: Console) -> bool:
    """Shows a search until it ends or stops, then how it stands; whether it is over.

    One that is being prepared is waited for. On a terminal: its live view, below what happens.
    Elsewhere: a line a minute. Raises ``RunError`` where there is no such run.
    """
    with Terminal(console) as terminal:
        folder = _begun(name, terminal)
        state = _follow(folder, terminal)
    print_standing(console, state)
    return state.is_over


def _begun(name: str, terminal: Terminal) -> RunFolder:
    """The run, once it has begun."""
    while True:
        try:
            folder = find_run(name)
            if folder.journal.exists() or folder.read_info()["storage"]:
                return folder
        except RunError:
            if not any(RunFolder(place).is_running for place in (Path(name), Path("runs") / name)):
                raise
        terminal.progress(f"{name} is being prepared", 0, 0)
        time.sleep(_LOOK)


def _follow(folder: RunFolder, terminal: Terminal) -> RunState:
    """Shows a run while it is running; the state in which it is then."""
    log = _Log(folder.log)
    is_first = True
    while True:
        with RunReader(folder) as reader:
            begun = reader.info["begun"]
            while reader.info["begun"] == begun:
                is_running, looked = folder.is_running, time.monotonic()
                state = reader.state()
                if not is_running:
                    return state
                if is_first and not terminal.is_live:
                    terminal.say(heartbeat(state))
                is_first = False
                if terminal.is_live:
                    for line in log.new_lines():
                        terminal.say(line)
                terminal.refresh(state)
                least = _LOOK if reader.info["storage"] is None else _LOOK_AT_DATABASE
                time.sleep(max(least, _RARELY * (time.monotonic() - looked)))
                begun = folder.read_info()["begun"]


class _Log:
    """The lines of a file that grows, the last few of those that are there at first."""

    def __init__(self, path: Path) -> None:
        self._path, self._read = path, -1

    def new_lines(self) -> list[str]:
        """Whole lines since the last call, without their times."""
        try:
            with self._path.open("rb") as file:
                file.seek(max(self._read, 0))
                content = file.read()
        except FileNotFoundError:
            return []
        whole = content.rpartition(b"\n")[0]
        is_first, self._read = self._read < 0, max(self._read, 0) + len(whole) + bool(whole)
        lines = [_TIME.sub("", line) for line in whole.decode(errors="replace").splitlines()]
        return lines[-_EARLIER:] if is_first else lines
