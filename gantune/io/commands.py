"""``RunningCommand``: a command in a process group of its own, with its output and a sure end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from gantune.io.processes import Reaper, descendants

_CHUNK = 65_536  # bytes
_TAIL = 8_000  # bytes of output that an error may show
_POLL = 0.05  # seconds
_SET_SUBREAPER, _GET_SUBREAPER = 36, 37  # options of prctl


class RunningCommand:
    """A command that runs until it ends or the block is left; then nothing of it is left.

    It has no input. Its output is passed on to that of this process, and to a file. Processes that
    it leaves behind are adopted by this one within ``adopting_orphans``, so that they end too
    (Linux). If this process is killed, the command's process group is killed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path | str,
        environment: Mapping[str, str],
        *,
        grace: float = 10.0,
        output: Path | None = None,
        beat: Callable[[], None] = lambda: None,
    ) -> None:
        """``grace``: seconds from SIGTERM to SIGKILL. ``output``: the file to which its output is
        appended. ``beat``: called while this object waits for the command's end.

        Raises ``OSError`` where it cannot be started.
        """
        self._grace, self._beat = grace, beat
        self._tail = b""
        self.last_output = 0.0
        """Time of the last output, seconds of ``time.monotonic``."""
        self.printed = 0
        """Bytes of output so far."""
        self._before = set(descendants(os.getpid()))
        self._file = None if output is None else output.open("ab")
        self._process = subprocess.Popen(
            arguments,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        self._reaper = Reaper('kill -KILL "-$1" 2>/dev/null', str(self._process.pid))
        self._pump = threading.Thread(target=self._pass_on, daemon=True)
        self._pump.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def process_id(self) -> int:
        """The id of its process, which is also that of its group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether the command itself has not ended. Once it has, all of its output was passed on
        and nothing of it is left."""
        if self._process.poll() is None:
            return True
        if self._pump.is_alive():
            self._pump.join(timeout=1)
            self._kill_rest()
            self._pump.join(timeout=5)
        return False

    @property
    def exit_code(self) -> int | None:
        """As ``subprocess`` has it; ``None`` while it runs."""
        return self._process.poll()

    @property
    def tail(self) -> str:
        """The end of its output."""
        text = self._tail.decode("utf-8", errors="replace").replace("\r", "\n")
        return "\n".join(line for line in text.splitlines() if line.strip())

    def wait(self) -> None:
        """Waits a moment."""
        time.sleep(_POLL)

    def wait_for_end(self) -> None:
        """Waits until it has ended by itself, at most ``grace`` seconds."""
        end = time.monotonic() + self._grace
        while self.is_running and time.monotonic() < end:
            self._beat()
            self.wait()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """The command stands still within the block, so that its files do not change."""
        self._signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._signal(signal.SIGCONT)

    def stop(self) -> None:
        """Ends it and all that it has started: SIGTERM, and after ``grace`` SIGKILL."""
        if self.is_running:
            self._signal(signal.SIGTERM)
            self.wait_for_end()
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._kill_rest()
        self._pump.join(timeout=5)
        self._reaper.cancel()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _kill_rest(self) -> None:
        """Kills and reaps what the command has left behind."""
        self._signal(signal.SIGKILL)
        for _ in range(20):
            left = [process for process in descendants(os.getpid()) if self._is_its(process)]
            if not left:
                return
            for process in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(process, os.WNOHANG)
            self.wait()

    def _is_its(self, process: int) -> bool:
        """Whether a descendant of this process comes from the command: it left our session."""
        if process in self._before or process in (self._reaper.process_id, self._process.pid):
            return False
        try:
            return os.getsid(process) != os.getsid(0)
        except ProcessLookupError:
            return False

    def _pass_on(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while chunk := os.read(stream.fileno(), _CHUNK):
            self.last_output = time.monotonic()
            self._tail = (self._tail + chunk)[-_TAIL:]
            self.printed += len(chunk)
            with suppress(OSError):  # a terminal that is gone
                os.write(1, chunk)
            if self._file is not None:
                with suppress(OSError):  # a full disk ends the command by other means
                    self._file.write(chunk)
                    self._file.flush()
        stream.close()
        if self._file is not None:
            self._file.close()


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Processes whose parent ends become children of this process within the block (Linux)."""
    before = ctypes.c_int(0)
    library = ctypes.CDLL(None)
    has_prctl = hasattr(library, "prctl")
    if has_prctl:
        library.prctl(_GET_SUBREAPER, ctypes.byref(before))
        library.prctl(_SET_SUBREAPER, 1)
    try:
        yield
    finally:
        if has_prctl:
            library.prctl(_SET_SUBREAPER, before.value)
