"""``gantune next``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantune.space import load_space
from tests.cli.conftest import Run
from tests.played import played_run


def test_the_next_space_is_printed_or_written(run: Run, tmp_path: Path) -> None:
    folder = played_run(tmp_path)
    code, text, _ = run("next", str(folder.path))
    assert code == 0 and "  top: 3" in text
    code, said, _ = run("next", str(folder.path), "--top", "5", "-o", "better.yaml")
    assert (code, said) == (0, "wrote better.yaml\nsearch it: gantune search better.yaml\n")
    code, _, error = run("next", str(folder.path), "-o", "better.yaml")
    assert code == 2 and "better.yaml: exists already; overwrite it with --force" in error
    assert run("next", str(folder.path), "-o", "better.yaml", "--top", "5", "--force")[0] == 0
    space = load_space("better.yaml")
    assert space.study == "better"
    assert [(prior.run, prior.top) for prior in space.priors] == [(str(folder.path), 5)]


def test_a_search_that_suggests_nothing_says_so(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = played_run(tmp_path)
    monkeypatch.setattr("gantune.report.next_search.suggestions", lambda state: [])
    said = run("next", str(folder.path), "-o", "same.yaml")[1]
    assert said.startswith("the same space with the best settings as a prior: the results of ")


def test_bad_input_is_one_message_and_exit_2(run: Run, tmp_path: Path) -> None:
    code, _, error = run("next", "nowhere")
    assert code == 2 and "nowhere" in error
    folder = played_run(tmp_path)
    Path("taken").write_text("a file")
    code, _, error = run("next", str(folder.path), "-o", "taken/next.yaml")
    assert code == 2 and "taken/next.yaml" in error
    folder.space.unlink()
    code, _, error = run("next", str(folder.path))
    assert code == 2 and "space.yaml" in error
