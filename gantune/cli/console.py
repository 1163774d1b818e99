"""What the commands share: where they print, and how they were called."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from gantune.errors import GantuneError, TrainingError, disk_full_message, is_disk_full

if TYPE_CHECKING:
    from rich.console import Console


_LOG_WIDTH = 100  # columns of tables where the output is no terminal


def typed_command() -> str:
    """The command as it was typed."""
    return shlex.join(["gantune", *sys.argv[1:]])


def make_console(*, stderr: bool = False) -> Console:
    """The terminal, or a log of fixed width; ``stderr`` where results alone belong on stdout."""
    from rich.console import Console

    console = Console(highlight=False, stderr=stderr)
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = _LOG_WIDTH
    return console


# How a command ends when something is wrong: one clear message and an exit code.


@contextmanager
def reported() -> Iterator[None]:
    """Turns user errors and a full disk into a message on stderr and exit code 2.

    A search that crashes, the code's fault or the machine's, has exit code 1.

    A reader that has gone, as after ``gantune best dcgan | head -1``, ends it in silence.
    """
    code = 2
    try:
        yield
    except GantuneError as error:
        message, code = str(error), 1 if isinstance(error, TrainingError) else 2
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(1) from None
    except OSError as error:
        if not is_disk_full(error):
            raise
        message = disk_full_message(error)
    else:
        return
    print(message, file=sys.stderr)
    raise SystemExit(code)


# Signals that end a command as Ctrl-C does: of a job scheduler, and of a terminal that closes.


_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


@dataclass
class ReceivedSignal:
    """Which signal has ended a command: Ctrl-C's, as long as no other came."""

    number: int = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """What a shell says of a process that the signal has ended: 130, 143 or 129."""
        return 128 + self.number


@contextmanager
def ended_by_signals() -> Iterator[ReceivedSignal]:
    """Within it SIGTERM and SIGHUP raise ``KeyboardInterrupt``, once; nobody catching it, the
    process ends with 128 and the signal's number. One that is ignored already, as under ``nohup``,
    stays so.

    Which it was stands in what this gives, not in the error: of that a library may make another one
    on its way, as Ray does.
    """
    came = ReceivedSignal()
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def end(number: int, frame: FrameType | None) -> None:
        came.number = number
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)  # workers are ended in peace
        _leave(terminals)
        raise KeyboardInterrupt(signal.Signals(number).name)

    former = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in former.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, end)
    try:
        yield came
    except KeyboardInterrupt:
        if came.number == signal.SIGINT:
            raise
        raise SystemExit(came.exit_code) from None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _leave(terminals: list[int]) -> None:
    """Writes to a terminal that has gone would fail; they go nowhere."""
    for number in terminals:
        if not os.isatty(number):
            with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                os.dup2(nowhere.fileno(), number)


# The command line's arguments and options: their names, their help, their defaults in words.
#
# Here those that several commands share; the others lie in a file for each group of commands.


Run = Annotated[str, Argument(metavar="RUN", help="A run folder, or a study's name under runs/.")]


Device = Annotated[
    str, Option(metavar="NAME", help="auto (all GPUs, else the CPU), cpu, or cuda:0,1.")
]


Json = Annotated[bool, Option("--json", help="Print plain values.")]
