"""The lease of a study in a database: one driver writes it, from whatever folder or machine.

The lease is an attribute of the study and changes only by compare-and-swap, so of two drivers that
claim it at the same moment one wins. Its owner sends heartbeats: it increments a counter in the
attribute. Another driver waits whether the counter changes within a time limit on its own clock, so
clocks of different machines are never compared.

A journal in the run folder needs no lease: the folder's lock keeps other drivers out, also over
NFS, where Linux forwards the lock to the server. A journal would also store every heartbeat.
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
from typing import TYPE_CHECKING
from uuid import uuid4

from optuna.storages import BaseStorage

from gantune.errors import RunError
from gantune.tuner.storage.database import DatabaseStorage
from gantune.tuner.storage.retry import TransientError

if TYPE_CHECKING:
    from sqlalchemy import Engine, Executable


@dataclass(frozen=True)
class LeaseTiming:
    """Times of the heartbeat, in seconds."""

    interval: float = 5.0
    """Between two heartbeats."""
    limit: float = 30.0
    """After this time without a heartbeat, the owner counts as gone."""
    trust: float = 15.0
    """If the last heartbeat is older, the next write sends one first."""


@contextmanager
def exclusive_driver(
    storage: BaseStorage,
    study: str,
    folder: Path,
    notify: Callable[[str], None],
    timing: LeaseTiming = LeaseTiming(),
) -> Iterator[None]:
    """Makes this process the only writer of a study in a database.

    Raises ``RunError`` where a live driver holds the lease. If another driver takes the lease over
    later, the next use of ``storage`` raises it. Does nothing for a journal, whose folder is locked
    already.
    """
    if not isinstance(storage, DatabaseStorage):
        yield
        return
    attribute = StudyAttribute(storage.engine, storage.get_study_id_from_name(study), "driver")
    owner = LeaseOwner.this_process(folder)
    lease = Lease(attribute, owner, f"study {study!r} in {storage.name}", timing)
    storage.retrier.call(lambda _: lease.claim(notify))
    with lease.heartbeats(), storage.with_guard(lease.check):
        yield


class StudyAttribute:
    """One row of Optuna's table of study attributes, swapped in one SQL statement.

    The methods may raise ``TransientError``.
    """

    def __init__(self, engine: Engine, study_id: int, key: str) -> None:
        from sqlalchemy import column, table

        self._engine, self._key = engine, {"study_id": study_id, "key": key}
        self._table = table(
            "study_user_attributes", column("study_id"), column("key"), column("value_json")
        )
        self._is_row = (self._table.c.study_id == study_id) & (self._table.c.key == key)

    def read(self) -> str | None:
        """The attribute as JSON; ``None`` where it is not set."""
        query = self._table.select().where(self._is_row)
        with self._engine.connect() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else str(row.value_json)

    def compare_and_swap(self, old: str | None, new: str | None) -> bool:
        """Replaces ``old`` by ``new``; false where the attribute is not ``old``."""
        from sqlalchemy.exc import IntegrityError

        is_old = self._is_row & (self._table.c.value_json == old)
        statement: Executable
        if old is None:
            statement = self._table.insert().values(**self._key, value_json=new)
        elif new is None:
            statement = self._table.delete().where(is_old)
        else:
            statement = self._table.update().where(is_old).values(value_json=new)
        try:
            with self._engine.begin() as connection:
                return bool(connection.execute(statement).rowcount == 1)
        except IntegrityError:
            return False


@dataclass(frozen=True)
class LeaseOwner:
    """The driver that writes a study."""

    host: str
    process: int
    folder: str
    machine: str = ""
    """Identifies one boot of one kernel and one namespace of process numbers."""
    started: str = ""
    """When the process started, in the kernel's ticks: process numbers are reused."""
    token: str = ""
    beat: int = 0
    """Heartbeats so far."""

    def __str__(self) -> str:
        return f"process {self.process} on {self.host}, run folder {self.folder}"

    def to_json(self) -> str:
        """The value of the study's attribute."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> LeaseOwner:
        """Reads what ``to_json`` gave. Raises ``RunError``."""
        try:
            return cls(**json.loads(text))
        except (TypeError, ValueError):
            raise RunError(
                "storage: this version of gantune cannot read who writes this study; all drivers "
                "of one study need one version of gantune"
            ) from None

    @classmethod
    def this_process(cls, folder: Path) -> LeaseOwner:
        """This process, with a new token."""
        process, home = os.getpid(), str(folder.resolve())
        started = _process_stat(process)[1]
        return cls(socket.gethostname(), process, home, _machine(), started, uuid4().hex)

    @property
    def is_gone(self) -> bool:
        """Whether it was a process of this machine that has ended; false where that is unknown."""
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


class Lease:
    """The lease of one study for one owner. ``study`` names the study in messages."""

    def __init__(
        self, attribute: StudyAttribute, owner: LeaseOwner, study: str, timing: LeaseTiming
    ) -> None:
        self._attribute, self._owner, self._study, self._timing = attribute, owner, study, timing
        self._stored: str | None = None  # the attribute's text for this owner
        self._arrived = 0.0  # when the last heartbeat that arrived was sent
        self._lost: RunError | None = None
        self._lock = threading.Lock()

    def claim(self, notify: Callable[[str], None]) -> None:
        """Takes the lease where it is free or its owner is gone, which may take ``timing.limit``.

        Raises ``RunError`` where the owner sends heartbeats. May raise ``TransientError``, and may
        then be called again.
        """
        while True:
            text, former = self._read()
            if former is not None:
                if former.token == self._owner.token:
                    self._stored = text
                    return  # stored by an earlier attempt, whose answer was lost
                self._wait_until_gone(former, notify)
            self._arrived = _now()
            if self._swap(text, self._owner):
                if former is not None:
                    notify(f"{self._study}: its last driver is gone ({former}); taking over")
                return

    def _wait_until_gone(self, owner: LeaseOwner, notify: Callable[[str], None]) -> None:
        """Returns once the owner is gone or silent for the limit. Raises ``RunError`` otherwise."""
        if owner.is_gone:
            return
        limit, interval = self._timing.limit, self._timing.interval
        notify(
            f"{self._study} has another driver, {owner}; waiting up to {limit:g} s for its "
            "heartbeat"
        )
        start = _now()
        while _now() - start < limit:
            before = _now()
            time.sleep(interval / 5)
            _, found = self._read()
            if found is None or owner.is_gone:
                return
            if found != owner:
                raise RunError(
                    f"storage: {self._study} is being searched already, by {found}; wait for its "
                    "end, or search under another name, such as --set study=mine"
                )
            if _now() - before > interval:  # no heartbeat could arrive while the server was down
                start = _now()

    def renew(self) -> None:
        """Sends a heartbeat.

        Raises ``RunError`` where another driver holds the lease, or ``TransientError``.
        """
        with self._lock:
            self.check(writes=False)
            sent, owner = _now(), replace(self._owner, beat=self._owner.beat + 1)
            if not self._swap(self._stored, owner):
                text, found = self._read()
                if found is None or found.token != self._owner.token:
                    by = "and ended, or deleted" if found is None else f"by {found}"
                    self._lost = RunError(
                        f"storage: {self._study} was taken over {by}: this process sent no "
                        f"heartbeat for {_now() - self._arrived:.0f} s, because it was suspended "
                        "or cut off from the database. It stops and writes nothing more"
                    )
                    raise self._lost
                # An earlier heartbeat has arrived, whose answer was lost.
                owner, self._stored = found, text
            self._owner, self._arrived = owner, sent

    def check(self, writes: bool) -> None:
        """Called before every operation on the study; a write needs a recent heartbeat.

        Raises ``RunError`` once the lease is known to be lost.
        """
        if self._lost is not None:
            raise RunError(str(self._lost))
        if writes and _now() - self._arrived > self._timing.trust:
            self.renew()

    @contextmanager
    def heartbeats(self) -> Iterator[None]:
        """Sends heartbeats from a thread within the block, and releases the lease after it."""
        is_over = threading.Event()

        def run() -> None:
            while not is_over.wait(self._timing.interval):
                with suppress(TransientError, RunError):  # the next write raises it
                    self.renew()

        thread = threading.Thread(target=run, name="gantune-lease", daemon=True)
        thread.start()
        try:
            yield
        finally:
            is_over.set()
            thread.join()
            self.release()

    def release(self) -> None:
        """Gives the lease back, if it is still held and the database can be reached."""
        with self._lock, suppress(TransientError):
            if self._lost is None:
                self._swap(self._stored, None)

    def _read(self) -> tuple[str | None, LeaseOwner | None]:
        """The stored text, which a swap must name, and the owner that it describes."""
        text = self._attribute.read()
        return text, None if text is None else LeaseOwner.from_json(text)

    def _swap(self, old: str | None, new: LeaseOwner | None) -> bool:
        """Replaces the text that was read or written last, whichever process formatted it."""
        text = None if new is None else new.to_json()
        if is_swapped := self._attribute.compare_and_swap(old, text):
            self._stored = text
        return is_swapped


def _now() -> float:
    """Seconds of a clock that also runs while the machine sleeps; ``time.monotonic`` stops then."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


def _machine() -> str:
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _process_stat(process: int) -> tuple[str, str]:
    """State and start of a process; empty where they cannot be read."""
    try:
        stat = Path(f"/proc/{process}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return "", ""
    fields = stat.rpartition(")")[2].split()
    return fields[0], fields[19]
