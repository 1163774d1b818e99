"""The lease of a study in a database: one driver writes it, whatever folder or machine it is on.

It stands in a note of the study and is changed only by comparing and swapping, so that of two who
take it at one moment one wins. Its holder beats: a counter in the note goes up. Who comes later
looks whether the counter moves within some time of its own, so no clocks are compared.

A journal in the run folder needs none: the folder's lock keeps others out, through NFS too, where
Linux passes it on to the server, and a journal would keep every beat for ever.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Protocol
from uuid import uuid4

from gantune.errors import RunError
from gantune.tuner.storage.retry import TransientError


class CompareAndSwap(Protocol):
    """A text that others may change too; it may be ``TransientError``."""

    def read(self) -> str | None:
        """What stands there; ``None``: nothing."""

    def swap(self, old: str | None, new: str | None) -> bool:
        """Puts ``new`` where ``old`` stands; false, and nothing is done, where it does not."""


@dataclass(frozen=True)
class LeaseTiming:
    """Of the heart, in seconds."""

    beat: float = 5.0
    """From one beat to the next."""
    limit: float = 30.0
    """Without a beat: the holder is taken for gone."""
    trust: float = 15.0
    """Since the last beat that was seen to arrive: before the next write another must."""


PACE = LeaseTiming()


@dataclass(frozen=True)
class LeaseOwner:
    """Who writes a study."""

    host: str
    process: int
    folder: str
    machine: str = ""
    """Of one start of one kernel and one space of process numbers."""
    started: str = ""
    """When the process did, in the kernel's ticks: numbers are used again."""
    token: str = ""
    beat: int = 0

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, run folder {self.folder}"

    def to_text(self) -> str:
        """As it stands in the study's note."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> LeaseOwner:
        """Reads back what ``to_text`` gave. Raises ``RunError``."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError):
            raise RunError(
                "storage: who writes this study is noted in a form that this version does not "
                "know; all who write it need one version of gantune"
            ) from None

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that has ended; unknown is no."""
        if self.machine != _machine() or not self.machine:
            return False
        try:
            os.kill(self.process, 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
        state, started = _process_stat(self.process)
        return state == "Z" or bool(started and started != self.started)


def this_process(folder: Path) -> LeaseOwner:
    """This process as a holder, with a token of its own."""
    pid = os.getpid()
    return LeaseOwner(
        host=socket.gethostname(),
        process=pid,
        folder=str(folder.resolve()),
        machine=_machine(),
        started=_process_stat(pid)[1],
        token=uuid4().hex,
    )


class Lease:
    """One study's, for one holder. ``what`` names the study in messages."""

    def __init__(
        self, cell: CompareAndSwap, holder: LeaseOwner, what: str, pace: LeaseTiming
    ) -> None:
        self._cell, self._holder, self._what, self._pace = cell, holder, what, pace
        self._text = ""
        self._arrived = 0.0
        self._lost: RunError | None = None
        self._lock = threading.Lock()

    def claim(self, say: Callable[[str], None]) -> None:
        """Takes the lease where it is free or its holder is gone, which may have to be waited for.

        Raises ``RunError`` where it beats. May be ``TransientError``, and be called again then.
        """
        while True:
            standing = self._cell.read()
            former = None if standing is None else LeaseOwner.from_text(standing)
            if former is not None and former.token == self._holder.token:
                return  # put there by a try whose answer was lost
            if standing is not None and former is not None and not former.is_gone:
                self._look(standing, former, say)
            self._text, self._arrived = self._holder.to_text(), _now()
            if self._cell.swap(standing, self._text):
                if former is not None:
                    say(f"{self._what}: its last driver is gone ({former}); going on in its place")
                return

    def _look(self, standing: str, holder: LeaseOwner, say: Callable[[str], None]) -> None:
        """Returns once the holder is gone, or has not beaten for long enough. Else ``RunError``."""
        limit, beat = self._pace.limit, self._pace.beat
        say(
            f"{self._what} is noted as written by {holder}; looking for up to {limit:g} s whether "
            "it is alive"
        )
        begun = _now()
        while _now() - begun < limit:
            before = _now()
            time.sleep(beat / 5)
            now = self._cell.read()
            if now is None or holder.is_gone:
                return
            if now != standing:
                raise RunError(
                    f"storage: {self._what} is being searched already, by "
                    f"{LeaseOwner.from_text(now)}; wait for its end, or search under another name, "
                    "such as --set study=mine"
                )
            if _now() - before > beat:  # nobody could beat while nobody was served
                begun = _now()

    def renew(self) -> None:
        """Renews once. Raises ``RunError`` where another holds the lease, or ``TransientError``."""
        with self._lock:
            self.check_held()
            asked = _now()
            holder = replace(self._holder, beat=self._holder.beat + 1)
            text = holder.to_text()
            if not self._cell.swap(self._text, text):
                standing = self._cell.read()
                if standing is None or LeaseOwner.from_text(standing).token != self._holder.token:
                    self._lost = self._loss(standing)
                    raise self._lost
                text, holder = standing, LeaseOwner.from_text(standing)  # its answer had been lost
            self._text, self._holder, self._arrived = text, holder, asked

    def _loss(self, standing: str | None) -> RunError:
        silence = _now() - self._arrived
        by = f"by {LeaseOwner.from_text(standing)}" if standing else "and ended, or deleted"
        return RunError(
            f"storage: {self._what} was taken over {by}: this process had not been heard for "
            f"{silence:.0f} s, being suspended or cut off from the database. It ends and writes "
            "nothing more"
        )

    def check_held(self) -> None:
        """Raises ``RunError`` once the lease is known to be lost."""
        if self._lost is not None:
            raise RunError(str(self._lost))

    def check(self, writes: bool) -> None:
        """Before every operation on the study; a write needs a beat that arrived of late."""
        self.check_held()
        if writes and _now() - self._arrived > self._pace.trust:
            self.renew()

    def release(self) -> None:
        """Gives it back, if it is still held and the database is there."""
        with self._lock, suppress(TransientError):
            if self._lost is None:
                self._cell.swap(self._text, None)


@contextmanager
def beating(lease: Lease, beat: float) -> Iterator[None]:
    """Renews a lease from a thread of its own, however long the caller is at something else."""
    is_over = threading.Event()

    def run() -> None:
        while not is_over.wait(beat):
            with suppress(TransientError, RunError):  # whoever writes next is told
                lease.renew()

    thread = threading.Thread(target=run, name="gantune-lease", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        lease.release()


def _now() -> float:
    """Seconds that go on while the machine sleeps, unlike ``time.monotonic`` on Linux."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _process_stat(process: int) -> tuple[str, str]:
    """State and start of a process; empty where they cannot be seen."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]
