"""One training on several devices: a process for each, started and watched from here.

``gan/ranks.py`` says how they train as one; ``rank_process.py`` is each of them. The first writes
and scores. Where one dies or falls silent all are ended, and one error tells why.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from tempfile import TemporaryFile
from typing import IO, Any

import torch.distributed as dist

from gantune.errors import TrainingError
from gantune.events import Observer
from gantune.gan.ranks import Ranks
from gantune.io.formatting import setting_duration
from gantune.io.processes import describe_exit
from gantune.io.trust import allowances
from gantune.trial.cores import available_cores, thread_count
from gantune.trial.devices import explain_gpu_error
from gantune.trial.process import Message, Process, Progress, end_all
from gantune.trial.records import Outcome

LOOPBACK = "127.0.0.1"
PATIENCE = timedelta(days=1)
"""How long ranks wait for each other, as while the first one scores. What hangs is ended here."""

_SILENCE = 600.0  # seconds without a message of any rank: one of them hangs, and all wait for it
_POLL = 0.5  # seconds
_GRACE = 3.0  # seconds in which a death shows that another rank has noticed
_LAST_LINES = 20  # of the output of a process that has died


@dataclass(frozen=True)
class RankTask:
    """What one process does; the first message to it."""

    ranks: Ranks
    device: str
    port: int
    """Where the ranks find each other, on the loopback interface."""
    allowed: frozenset[str]
    """The code that the user has agreed to."""
    arguments: Mapping[str, Any]
    """Those of ``train.train_here``, for the first rank."""


@dataclass(frozen=True)
class Failed:
    """From a rank: why it cannot go on."""

    error: Exception


def train_in_group(
    devices: Sequence[str],
    arguments: Mapping[str, Any],
    observer: Observer,
    silence: float = _SILENCE,
) -> Outcome:
    """Trains with a process on each of ``devices``.

    ``silence``: seconds without a message of any process after which they are ended. Raises
    ``TrainingError`` where a process dies, fails or hangs, and every error that the first one
    raises for the user.
    """
    threads = thread_count(arguments["threads"], available_cores(), len(devices))
    if devices[0] != "cpu":
        observer.message(
            "on several GPUs training steps are not recorded as CUDA graphs, so a small network "
            f"may train slower than on one; compare its images/s with --device {devices[0]}"
        )
    members: list[_Member] = []
    with ExitStack() as stack:
        stack.callback(end_all, members)
        for rank, device in enumerate(devices):
            output = stack.enter_context(TemporaryFile())
            members.append(_Member(f"rank {rank} on {device}", threads, output))
        listener = socket.create_server((LOOPBACK, 0))
        port = listener.getsockname()[1]
        meeting = [
            dist.TCPStore(  # type: ignore[attr-defined]
                LOOPBACK,
                port,
                is_master=True,
                wait_for_workers=False,
                master_listen_fd=listener.detach(),
            )
        ]
        stack.callback(meeting.clear)  # it has a thread
        for rank, (member, device) in enumerate(zip(members, devices, strict=True)):
            place = Ranks(rank, len(devices))
            member.send(RankTask(place, device, port, allowances(), arguments))
        return _watch(members, observer, silence)


class _Member(Process):
    """The process of one rank."""

    def __init__(self, name: str, threads: int, output: IO[bytes]) -> None:
        self.name, self._output = name, output
        super().__init__("gantune.trial.rank_process", threads, output)

    def receive(self) -> object:
        """Its next message; ``Failed`` where it has died."""
        try:
            return self.connection.recv()
        except (EOFError, ConnectionResetError):
            return Failed(self.death())

    def death(self) -> _DeathError:
        """The error that tells how it has died, and what it has printed last."""
        how = describe_exit(self.end())
        self._output.seek(0)
        lines = self._output.read().decode(errors="replace").splitlines()[-_LAST_LINES:]
        printed = "\n".join([":", *lines]) if lines else ""
        return _DeathError(f"{self.name} died with {how}, so that all have stopped{printed}")


class _DeathError(TrainingError):
    """A process that has died without a word: others that fail then do so because of it."""


def _watch(members: Sequence[_Member], observer: Observer, silence: float) -> Outcome:
    """Passes on what the ranks say, until the first one has an outcome."""
    of_connection: dict[Any, _Member] = {member.connection: member for member in members}
    quiet = 0.0  # seconds, as far as this process was listening
    while True:
        ready = wait(list(of_connection), _POLL)
        quiet = 0.0 if ready else quiet + _POLL
        if quiet >= silence:
            raise TrainingError(
                f"{len(members)} devices have sent no sign of life for "
                f"{setting_duration(silence)}: one of them hangs, and the others wait for it, so "
                "that all have been stopped"
            )
        for member in members if not ready else ():
            if member.has_died:  # and a process that it has started holds its connection open
                raise _explained(member.death())
        for connection in ready:
            message = of_connection[connection].receive()
            if isinstance(message, Message):
                observer.message(message.text)
            elif isinstance(message, Progress):
                observer.progress(message.what, message.done, message.total, message.note)
            elif isinstance(message, Failed):
                del of_connection[connection]
                raise _explained(_cause(message.error, of_connection))
            elif isinstance(message, Outcome):
                return message


def _cause(error: Exception, others: dict[Any, _Member]) -> Exception:
    """The death of another rank, where that is why one has failed; else its own error."""
    end = time.monotonic() + _GRACE
    while type(error) is TrainingError and (left := end - time.monotonic()) > 0:
        for connection in wait(list(others), left):
            message = others[connection].receive()
            if isinstance(message, Failed):
                del others[connection]
                error = message.error if isinstance(message.error, _DeathError) else error
        if not others:
            break
    return error


def _explained(error: Exception) -> Exception:
    """The error, with what it means where it is torch's about a GPU."""
    meaning = explain_gpu_error(str(error)) if isinstance(error, TrainingError) else ""
    return TrainingError(f"{error}\n{meaning}") if meaning else error
