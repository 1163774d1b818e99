"""``PageWriter``: keeps a run's page up to date while the search runs, without delaying it."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
import time
from contextlib import suppress

from gantune.errors import first_line
from gantune.tuner.state import RunState, SearchObserver

_LEAST = 60.0  # seconds between two pages
_PAUSE = 20.0  # times the duration of a page, between two pages
_LONGEST = 600.0  # seconds after which a page is abandoned
_NICENESS = 19


class PageWriter(SearchObserver):
    """Passes everything on to another observer, and writes ``report.html`` from time to time.

    A context manager, also from Python: ``with PageWriter() as observer: gantune.search("dcgan",
    observer=observer)``. While the search runs, a separate process of the lowest priority writes
    the page after a run has ended, at most once a minute and for at most a twentieth of the time.
    At the end the page is written once more. A failed page never affects the search.
    """

    def __init__(self, observer: SearchObserver | None = None) -> None:
        self._observer = observer or SearchObserver()
        self._state: RunState | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._started = self._next = time.monotonic()
        self._ended = self._written = 0  # runs

    def __enter__(self) -> PageWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()
        if self._state is None:
            return
        try:
            _write(self._state)
        except Exception as error:  # of any kind: the search itself has ended
            self.message(f"the report could not be written: {first_line(error)}")

    def message(self, text: str) -> None:
        """Passes it on."""
        self._observer.message(text)

    def progress(self, what: str, done: int, total: int, note: str = "") -> None:
        """Passes it on."""
        self._observer.progress(what, done, total, note)

    def refresh(self, state: RunState) -> None:
        """Passes it on, and starts writing a page where one is due."""
        self._observer.refresh(state)
        self._state = state
        self._ended = sum(r.outcome is not None for r in (*state.trials, *state.finalists))
        now = time.monotonic()
        if self._process is None:
            if self._ended > self._written and now >= self._next:
                self._start(state, now)
        elif self._process.poll() is not None or now - self._started >= _LONGEST:
            self._stop()
            self._next = max(self._started + _LEAST, now + _PAUSE * (now - self._started))

    def _start(self, state: RunState, now: float) -> None:
        self._written, self._started = self._ended, now
        try:
            with tempfile.TemporaryFile() as file:  # a pipe could block the search
                pickle.dump(state, file)
                file.seek(0)
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "gantune.report.page.background"],
                    stdin=file,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    start_new_session=True,  # Ctrl-C is for the search
                )
        except OSError:  # no disk space, or no process available: tries again later
            self._next = now + _LEAST

    def _stop(self) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.kill()
            self._process.wait()
            self._process = None


def _write(state: RunState) -> None:
    from gantune.report.page.page import write_page  # pandas and plotly take seconds to import
    from gantune.report.run_data import RunData

    if state.folder.path.exists():  # else it was deleted, and writing would create it again
        write_page(RunData(state), state.folder.report)


def main() -> None:
    """Writes the page of the state that a search passes on stdin; ends with the search.

    It needs no access to the study, whose database may have a password that only the search has.
    """
    from gantune.io.processes import die_with_parent

    die_with_parent()
    with suppress(OSError):
        os.nice(_NICENESS)
    _write(pickle.load(sys.stdin.buffer))


if __name__ == "__main__":
    main()
