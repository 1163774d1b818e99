"""Signals that wait for a step to be done."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import optuna
import pytest

from gantune.io.processes import held
from gantune.tuner.storage import open_journal


def test_ctrl_c_waits_for_the_end_of_a_step() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), held():
        signal.raise_signal(signal.SIGINT)
        done.append("step")
    assert done == ["step"]
    with pytest.raises(KeyboardInterrupt):  # and is heeded at once again
        signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_step_does_not_hide_it() -> None:
    with pytest.raises(KeyboardInterrupt), held():
        signal.raise_signal(signal.SIGINT)
        raise OSError("no room")


def test_what_is_ignored_stays_so_and_other_threads_are_let_be() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with held():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
    ran: list[bool] = []

    def step() -> None:
        with held():
            ran.append(True)

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert ran == [True]


def test_ctrl_c_in_the_midst_of_an_append_leaves_no_lock_and_no_torn_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "study.journal"
    study = optuna.create_study(storage=open_journal(path), study_name="s")
    real = os.unlink

    def unlink(name: str) -> None:
        real(name)
        signal.raise_signal(signal.SIGINT)  # while the lock is released

    with monkeypatch.context() as patched:
        patched.setattr(os, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            study.set_user_attr("key", 1)
    assert [file.name for file in tmp_path.iterdir()] == ["study.journal"]
    again = optuna.load_study(storage=open_journal(path), study_name="s")
    assert again.user_attrs == {"key": 1}
