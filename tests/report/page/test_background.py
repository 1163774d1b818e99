"""The page of a running search: written in the background, rarely, and without harm."""

from __future__ import annotations

import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import gantune
from gantune.report.page import background as module
from gantune.report.page.background import PageWriter
from gantune.tuner.state import RunState, SearchObserver, read_run
from tests.report.factory import outcome, search, state, trial

_PATIENCE = 60.0  # seconds


class _Told(SearchObserver):
    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states = 0

    def message(self, text: str) -> None:
        self.lines.append(text)

    def refresh(self, state: RunState) -> None:
        self.states += 1


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[list[str]]]:
    """Replaces the processes that write pages by ones that wait; collects their commands."""
    started: list[list[str]] = []
    children: list[subprocess.Popen[bytes]] = []
    real = subprocess.Popen

    def start(command: list[str], **options: object) -> subprocess.Popen[bytes]:
        started.append(command)
        child = real([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        children.append(child)
        return child

    monkeypatch.setattr(subprocess, "Popen", start)
    monkeypatch.setattr(module, "_write", lambda state: None)
    yield started
    for child in children:
        child.kill()
        child.wait()
        if child.stdin is not None:
            child.stdin.close()


def test_one_process_at_a_time_and_only_after_a_run_has_ended(
    commands: list[list[str]], tmp_path: Path
) -> None:
    told = _Told()
    with PageWriter(told) as writer:
        writer.refresh(state([trial(0)], folder=tmp_path))
        assert commands == []  # nothing has ended
        for _ in range(5):
            writer.refresh(state(search(), folder=tmp_path))
        assert len(commands) == 1
        assert told.states == 6
        child = writer._process
    assert child is not None and child.poll() is not None  # no process outlives the search


def test_pages_are_a_minute_apart_and_a_twentieth_of_the_time(
    commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    trials = search()
    with PageWriter() as writer:
        writer.refresh(state(trials, folder=tmp_path))
        assert writer._process is not None
        writer._process.kill()
        writer._process.wait()
        now += 10.0  # the duration of the page
        trials.append(trial(12, outcome("completed", value=3.0)))
        writer.refresh(state(trials, folder=tmp_path))
        now += 199.0
        writer.refresh(state(trials, folder=tmp_path))
        assert len(commands) == 1
        now += 2.0
        writer.refresh(state(trials, folder=tmp_path))
        assert len(commands) == 2


def test_a_process_that_hangs_is_stopped(
    commands: list[list[str]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with PageWriter() as writer:
        writer.refresh(state(search(), folder=tmp_path))
        now += 601.0
        writer.refresh(state(search(), folder=tmp_path))
        assert writer._process is None


def test_a_page_that_cannot_be_written_is_reported_without_harm(tmp_path: Path) -> None:
    told, blocked = _Told(), tmp_path / "run"
    blocked.touch()
    with PageWriter(told) as writer:
        writer.refresh(state([trial(0)], folder=blocked))
    (line,) = told.lines
    assert line.startswith("the report could not be written: ") and str(blocked) in line


def test_a_search_that_never_started_writes_no_page(tmp_path: Path) -> None:
    told = _Told()
    with pytest.raises(ValueError, match="refused"), PageWriter(told):
        raise ValueError("refused")
    assert told.lines == [] and list(tmp_path.iterdir()) == []


@pytest.mark.integration
def test_the_process_writes_the_page_of_a_real_run(tmp_path: Path) -> None:
    from benchmarks.synthetic_run import make_run

    folder = make_run(tmp_path / "run", trials=6)
    command = [sys.executable, "-m", "gantune.report.page.background"]
    told = pickle.dumps(read_run(folder))
    subprocess.run(command, input=told, check=True, timeout=_PATIENCE * 4)
    assert folder.report.exists()


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_a_real_search_leaves_its_page(tmp_path: Path) -> None:
    space = tmp_path / "tiny.yaml"
    space.write_text(
        "study: tiny\nbudget: {trials: 2}\nobjective: {samples: 64, rung_samples: 32}\n"
        "trial: {data: {source: digits, resolution: 16}, kimg: 0.3, tick_kimg: 0.05, "
        "network: {name: dcgan, width: 4, latent: 8}, batch_size: {choices: [8, 16]}}\n"
        "stability: off\nfinalists: {top: 1, seeds: 1}\n"
    )
    options = gantune.Options(workers=1, out=tmp_path / "run")
    with PageWriter() as writer:
        ended = gantune.search(space, options, writer)
    page = ended.folder.report.read_text()
    assert "data-reload" not in page and ">ended<" in page
    assert ended.folder.real.exists() and "Real images" in page
