"""What the commands share: the console, exit codes, signals, and options of several commands."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

from typer import Argument, BadParameter, Option
from typer.core import TyperCommand, TyperGroup

from gantune.errors import (
    GantuneError,
    RunError,
    TrainingError,
    bounded,
    disk_full_message,
    is_disk_full,
    summarize_error,
)
from gantune.io.formatting import whole_number
from gantune.io.home import expand_home

if TYPE_CHECKING:
    from rich.console import Console


def runs_beginning_with(incomplete: str) -> list[str]:
    """The names under ``runs/`` that a shell offers."""
    return [p.name for p in sorted(Path("runs").glob("*")) if p.name.startswith(incomplete)]


def spaces_beginning_with(incomplete: str) -> list[str]:
    """The shipped spaces that a shell offers beside files."""
    from gantune.space.load import shipped_spaces

    return [name for name in shipped_spaces() if name.startswith(incomplete)]


Run = Annotated[
    str,
    Argument(
        metavar="RUN",
        help="A run folder, or a study's name under runs/.",
        autocompletion=runs_beginning_with,
    ),
]

Device = Annotated[
    str, Option(metavar="NAME", help="auto (all GPUs, else the CPU), cpu, or cuda:0,1.")
]

Also = Annotated[
    list[str] | None,
    Option(
        metavar="NAME[=FILE]",
        help="Score beside the first: fd_dinov2, dinov2-b14 (FILE: its weights), fid, fd_inf or "
        "another extractor; may be repeated.",
        show_default="none",
    ),
]

Json = Annotated[bool, Option("--json", help="Print plain values.")]


def _trust(wanted: bool) -> None:
    if wanted:
        from gantune.io.trust import allow_everything

        allow_everything()


Trust = Annotated[
    bool,
    Option(
        "--trust",
        callback=_trust,
        help="Use the code and the database that a received run names; for this command only.",
    ),
]

_UsageError: Any = BadParameter.__mro__[1]

_LOG_WIDTH = 100  # columns of tables where the output is no terminal

# What ends a process where nothing handles it, and a person or a scheduler may send.
_SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM)


class Command(TyperCommand):
    """A command in whose options and arguments ``~`` at the start is a home.

    A shell leaves it as it is in ``--out=~/runs``, and within quotes.
    """

    def invoke(self, ctx: Any) -> Any:
        """Runs the command. Raises ``HomeError`` where there is no such home."""
        ctx.params = {name: _expanded(value) for name, value in ctx.params.items()}
        return super().invoke(ctx)


class Commands(TyperGroup):
    """All commands. What is wrong with their use is told in a message of bounded length."""

    def invoke(self, ctx: Any) -> Any:
        """Reads the arguments of a command and runs it."""
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            error.message = bounded(error.message)
            raise


def _expanded(value: Any) -> Any:
    if isinstance(value, list):
        return [_expanded(item) for item in value]
    return type(value)(expand_home(str(value))) if isinstance(value, str | Path) else value


def check_unused(file: Path, force: bool) -> None:
    """Raises ``RunError`` where a file that would be written exists already."""
    if file.exists() and not force:
        raise RunError(f"{file}: exists already; overwrite it with --force, or choose another -o")


def typed_command() -> str:
    """The command as the user typed it."""
    return shlex.join(["gantune", *sys.argv[1:]])


def make_console(*, stderr: bool = False) -> Console:
    """The terminal, or a log of fixed width; ``stderr`` if stdout is only for results."""
    from rich.console import Console

    console = Console(highlight=False, stderr=stderr)
    columns = os.environ.get("COLUMNS", "")
    if not whole_number(columns) and (not console.is_terminal or columns):
        console.width = _LOG_WIDTH
    return console


def open_closed_streams() -> None:
    """Connects standard streams that the command was started without to the null device.

    Otherwise the next file that is opened would take the place of one, and receive its text.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            os.set_inheritable(number, True)
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, closefd=False))  # noqa: SIM115


@contextmanager
def exit_on_error() -> Iterator[None]:
    """Turns errors of the user, and of a file, into a message on stderr and an exit code.

    The code is 1 for ``TrainingError``, else 2. A closed pipe, as in
    ``gantune best dcgan | head -1``, ends the command without a message.
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
        if is_disk_full(error):
            message = disk_full_message(error)
        elif error.filename is not None and error.strerror:
            message = bounded(f"{error.filename}: {error.strerror}")
        else:
            message = bounded(error.strerror or summarize_error(error))
    else:
        return
    print(message, file=sys.stderr)
    raise SystemExit(code)


@dataclass
class ReceivedSignal:
    """The signal that ended a command; SIGINT unless another one came."""

    number: int = signal.SIGINT

    @property
    def exit_code(self) -> int:
        """The exit code that a shell gives to a process ended by this signal, such as 130."""
        return 128 + self.number


@contextmanager
def interrupt_on_signals() -> Iterator[ReceivedSignal]:
    """Makes SIGTERM and SIGUSR1 (job schedulers) and SIGHUP (closed terminals) act as Ctrl-C, once.

    They raise ``KeyboardInterrupt``; if nothing catches it, the process exits with 128 plus the
    signal's number. A signal that is ignored already, as under ``nohup``, stays ignored. The
    yielded value holds the signal's number; the error cannot, as libraries such as Ray replace it.
    """
    received = ReceivedSignal()
    terminals = [number for number in (1, 2) if os.isatty(number)]

    def interrupt(number: int, frame: FrameType | None) -> None:
        received.number = number
        for other in _SIGNALS:
            signal.signal(other, signal.SIG_IGN)  # a second signal must not disturb the shutdown
        for stream in terminals:
            if not os.isatty(stream):  # a terminal that has closed: writing to it would fail
                with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
                    os.dup2(nowhere.fileno(), stream)
        raise KeyboardInterrupt(signal.Signals(number).name)

    former = {number: signal.getsignal(number) for number in _SIGNALS}
    for number, handler in former.items():
        if handler != signal.SIG_IGN:
            signal.signal(number, interrupt)
    try:
        yield received
    except KeyboardInterrupt:
        if received.number == signal.SIGINT:
            raise
        raise SystemExit(received.exit_code) from None
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
