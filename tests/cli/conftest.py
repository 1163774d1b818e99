"""Fixtures of the command line's tests: a way to call it, and a canned search."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from gantune.cli import main
from gantune.run_folder.run import RunFolder
from tests.canned import run_info
from tests.report.factory import finals, search, state

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Runs the command line in an empty folder: exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["gantune", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        code = ended.value.code or 0
        assert isinstance(code, int)
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def canned(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> RunFolder:
    """The factory's search as the run ``dcgan``."""
    from gantune.tuner import state as reading

    of = state(search(), finals(), Path("runs/dcgan"))
    (tmp_path / "runs/dcgan").mkdir(parents=True)
    (tmp_path / of.folder.info).write_text(json.dumps(run_info(rung_protocol=None)))
    for record in of.trials:
        folder = tmp_path / of.folder.trial(record.name).path
        folder.mkdir(parents=True)
        (folder / "config.yaml").write_text(f"seed: {record.number}\n")
    (tmp_path / of.folder.best).write_text("# the winner\nseed: 3\n")
    monkeypatch.setattr(reading, "read_run", lambda folder: of)
    return of.folder
