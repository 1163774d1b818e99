from __future__ import annotations

import io
import time
from pathlib import Path

import pytest
from rich.console import Console

from gantune.report.terminal.live import Terminal
from tests.report.factory import console, search, state, written


def terminal() -> Console:
    return Console(file=io.StringIO(), width=80, height=40, force_terminal=True, _environ={})


def test_in_a_log_every_event_is_one_whole_line() -> None:
    made = console(40)
    text = "trial 7 collapsed at 12 kimg: D loss at 0.004 of its neutral value [for 12 kimg]"
    with Terminal(made) as shown:
        shown.message(text)
    assert written(made) == text + "\n"


def test_in_a_log_a_preparation_is_told_in_quarters() -> None:
    made = console()
    with Terminal(made) as shown:
        for done in range(0, 1001, 10):
            shown.progress("decoding", done, 1000)
    assert written(made).splitlines() == [
        f"decoding: {done} of 1,000" for done in ("250", "500", "750", "1,000")
    ]


def test_a_log_has_a_line_a_minute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    made = console()
    with Terminal(made) as shown:
        for _ in range(1200):  # five minutes of four looks a second
            now += 0.25
            shown.refresh(state(search(), folder=tmp_path))
    lines = written(made).splitlines()
    assert len(lines) == 5
    assert lines[0].startswith("10 of 24 trials (2 completed, 2 pruned by rank,")
    assert lines[0].endswith(
        "best so far: trial 3, fid[classifier-digits] 8.10, recall 0.60, coverage 0.70"
    )


def test_on_a_terminal_the_view_goes_and_the_lines_stay(tmp_path: Path) -> None:
    made = terminal()
    with Terminal(made) as shown:
        shown.message("a line that stays")
        shown.refresh(state(search(), folder=tmp_path))
        during = written(made)
    assert "trial 10" in during and "9/24" in during
    after = written(made)[len(during) :]
    assert "trial 10" not in after
    assert "\x1b[2K" in after  # the lines of the view are erased


def test_a_terminal_is_refreshed_a_few_times_a_second(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    made = terminal()
    with Terminal(made) as shown:
        for _ in range(100):  # a second
            now += 0.01
            shown.refresh(state(search(), folder=tmp_path))
    assert 3 <= written(made).count("so far,") <= 5


def test_a_bar_is_gone_when_the_preparation_is_done() -> None:
    made = terminal()
    with Terminal(made) as shown:
        shown.progress("decoding", 1, 3)
        assert "1 of 3" in written(made)
        shown.progress("decoding", 3, 3)
    assert "3 of 3" not in written(made)


def test_what_cannot_be_counted_is_named_while_it_goes_on() -> None:
    made, log = terminal(), console()
    for where in (made, log):
        with Terminal(where) as shown:
            shown.progress("scoring", 3, 3)
            shown.progress("comparing", 0, 0)
            during = written(where)
            shown.progress("comparing", 1, 0)
        assert "comparing" in during and " of 0" not in during
        assert "comparing" not in written(where)[len(during) :]
    assert written(log).splitlines() == ["scoring: 3 of 3", "comparing"]


def test_a_dumb_terminal_gets_plain_lines() -> None:
    file = io.StringIO()
    made = Console(file=file, force_terminal=True, _environ={"TERM": "dumb"}, color_system=None)
    with Terminal(made) as shown:
        shown.progress("decoding", 3, 3)
    assert file.getvalue() == "decoding: 3 of 3\n"


def test_an_error_leaves_the_console_clean(tmp_path: Path) -> None:
    made = terminal()
    with pytest.raises(KeyboardInterrupt), Terminal(made) as shown:
        shown.refresh(state(search(), folder=tmp_path))
        raise KeyboardInterrupt
    assert written(made).endswith("\x1b[?25h") or "\x1b[?25h" in written(made)
