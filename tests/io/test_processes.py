"""Exit codes as text, signals that are deferred to the end of a step, variables of a block."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import optuna
import pytest

from gantune.io.processes import defer_signals, describe_exit, environment
from gantune.tuner.storage import open_journal


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (3, "exit code 3"),
        (-9, "exit code -9 (SIGKILL, ended from outside, as Linux does when memory runs out)"),
        (-11, "exit code -11 (SIGSEGV, a fault in compiled code)"),
        (-7, "exit code -7 (SIGBUS, a fault in compiled code, or no room left in /dev/shm)"),
        (-1, "exit code -1 (SIGHUP)"),
        (-99, "exit code -99"),
    ],
)
def test_a_signal_is_named_and_explained(code: int, text: str) -> None:
    assert describe_exit(code) == text


def test_ctrl_c_waits_for_the_end_of_a_step() -> None:
    done: list[str] = []
    with pytest.raises(KeyboardInterrupt), defer_signals():
        signal.raise_signal(signal.SIGINT)
        done.append("step")
    assert done == ["step"]
    with pytest.raises(KeyboardInterrupt):  # after the step it is raised at once again
        signal.raise_signal(signal.SIGINT)


def test_an_error_of_the_step_does_not_hide_the_signal() -> None:
    with pytest.raises(KeyboardInterrupt), defer_signals():
        signal.raise_signal(signal.SIGINT)
        raise OSError("no room")


def test_ignored_signals_stay_ignored_and_other_threads_are_not_affected() -> None:
    former = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with defer_signals():
            signal.raise_signal(signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, former)
    ran: list[bool] = []

    def step() -> None:
        with defer_signals():
            ran.append(True)

    thread = threading.Thread(target=step)
    thread.start()
    thread.join()
    assert ran == [True]


def test_ctrl_c_during_an_append_leaves_no_lock_and_no_torn_line(
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


def test_variables_hold_within_the_block_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GANTUNE_OLD", "old")
    for name in ("GANTUNE_NEW", "GANTUNE_OTHER"):
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    with (
        pytest.raises(KeyError),
        environment({"GANTUNE_OLD": "1", "GANTUNE_NEW": "2"}, ["GANTUNE_OTHER"]),
    ):
        assert os.environ["GANTUNE_OLD"] == "1" and os.environ["GANTUNE_NEW"] == "2"
        os.environ["GANTUNE_OTHER"] = "3"
        raise KeyError
    assert dict(os.environ) == before
