"""Signals that end a command as Ctrl-C does."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gantune.cli.console import interrupt_on_signals, make_console


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_is_an_interrupt_with_its_code(number: signal.Signals, code: int) -> None:
    before = handlers()
    with interrupt_on_signals() as received:
        assert received.exit_code == 130  # Ctrl-C's
        with pytest.raises(KeyboardInterrupt, match=number.name):
            os.kill(os.getpid(), number)
        assert received.exit_code == code
        os.kill(os.getpid(), signal.SIGTERM)  # the second signal does not disturb the shutdown
    assert handlers() == before


def test_an_uncaught_signal_ends_the_process_with_its_code() -> None:
    with pytest.raises(SystemExit) as caught, interrupt_on_signals():
        os.kill(os.getpid(), signal.SIGTERM)
    assert caught.value.code == 143


def test_the_code_stays_if_a_library_replaces_the_interrupt() -> None:
    with pytest.raises(SystemExit) as caught, interrupt_on_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        except KeyboardInterrupt:
            raise KeyboardInterrupt from None
    assert caught.value.code == 143


def test_ctrl_c_stays_an_interrupt() -> None:
    with pytest.raises(KeyboardInterrupt), interrupt_on_signals():
        raise KeyboardInterrupt


def test_a_signal_that_nohup_ignores_stays_ignored() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with interrupt_on_signals():
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)


@pytest.mark.parametrize("columns", ["0", "-5", "wide", ""])
def test_a_width_that_is_none_is_not_used(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert make_console().width == 100
    monkeypatch.setenv("COLUMNS", "70")
    assert make_console().width == 70


@pytest.mark.integration
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_end_no_command(closed: str, tmp_path: Path) -> None:
    script = f'"$0" -m gantune init --list {closed}'
    done = subprocess.run(["bash", "-c", script, sys.executable], capture_output=True, cwd=tmp_path)
    assert done.returncode == 0 and b"Traceback" not in done.stderr
    assert (b"dcgan" in done.stdout) == (">&-" not in closed.replace("2>&-", ""))
