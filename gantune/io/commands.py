"""``RunningCommand``: a command in a process group of its own, with its output and a sure end."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from gantune.io.processes import Reaper, descendants

_CHUNK = 65_536  # bytes
_TAIL = 8_000  # bytes of output that an error may show
_MOST_WAITING = 64  # chunks that nobody has read yet; then the command waits
_POLL = 0.05  # seconds
_PR_SET_CHILD_SUBREAPER = 36


class RunningCommand:
    """A command that runs until it ends or the block is left; then nothing of it is left.

    It has no input. Its output is passed on to that of this process, and a reader may follow it.
    Processes that it leaves behind are adopted by this one, so that they end too (Linux). If this
    process is killed, the command is killed.
    """

    def __init__(
        self,
        arguments: Sequence[str],
        folder: Path | str,
        environment: Mapping[str, str],
        *,
        grace: float,
        is_read: bool,
    ) -> None:
        """``grace``: seconds from SIGTERM to SIGKILL. ``is_read``: somebody calls ``read``.

        Raises ``OSError`` where it cannot be started.
        """
        self._grace, self._is_read = grace, is_read
        self._chunks: deque[bytes] = deque()
        self._tail = b""
        self._is_left = threading.Event()
        self.last_output = 0.0
        """Time of the last output, seconds of ``time.monotonic``."""
        self._before = set(descendants(os.getpid()))
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
    def is_running(self) -> bool:
        """Whether the command itself has not ended."""
        return self._process.poll() is None

    @property
    def exit_code(self) -> int | None:
        """As ``subprocess`` has it; ``None`` while it runs."""
        return self._process.poll()

    @property
    def tail(self) -> str:
        """The end of its output."""
        text = self._tail.decode("utf-8", errors="replace").replace("\r", "\n")
        return "\n".join(line for line in text.splitlines() if line.strip())

    def read(self) -> bytes | None:
        """What it has printed since the last call; ``None`` if nothing yet, empty at its end."""
        if not self.is_running:
            self._end_pump()
        is_over = not self._pump.is_alive()
        if self._chunks:
            return self._chunks.popleft()
        return b"" if is_over else None

    def wait(self) -> None:
        """Waits a moment."""
        time.sleep(_POLL)

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
        self._is_left.set()
        if self.is_running:
            self._signal(signal.SIGTERM)
            end = time.monotonic() + self._grace
            while self.is_running and time.monotonic() < end:
                time.sleep(_POLL)
        self._signal(signal.SIGKILL)
        self._process.wait()
        self._end_pump()
        self._reaper.cancel()

    def _signal(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    def _end_pump(self) -> None:
        """Kills what the command has left behind, which may keep its output open."""
        if not self._pump.is_alive():
            return
        self._signal(signal.SIGKILL)
        for _ in range(20):
            left = [process for process in descendants(os.getpid()) if self._is_its(process)]
            if not left:
                break
            for process in left:
                with suppress(ProcessLookupError, PermissionError):
                    os.kill(process, signal.SIGKILL)
                with suppress(ChildProcessError):
                    os.waitpid(process, os.WNOHANG)
            self.wait()
        self._pump.join(timeout=1)

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
            with suppress(OSError):  # a terminal that is gone
                os.write(1, chunk)
            if not self._is_read:
                continue
            while len(self._chunks) >= _MOST_WAITING and not self._is_left.is_set():
                time.sleep(_POLL)
            self._chunks.append(chunk)
        stream.close()


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Processes whose parent ends become children of this process within the block (Linux)."""
    _set_subreaper(1)
    try:
        yield
    finally:
        _set_subreaper(0)


def _set_subreaper(value: int) -> None:
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, value)
