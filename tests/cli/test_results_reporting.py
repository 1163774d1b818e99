"""``report``."""

from __future__ import annotations

from pathlib import Path

import pytest

from gantune.report import run as module
from gantune.report.run import Run
from tests.cli.conftest import Run as Call
from tests.report.pages import canned_run


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Run]:
    """Two runs under ``runs/``, opened by name."""
    made = {name: canned_run(tmp_path / "runs" / name) for name in ("one", "other")}
    monkeypatch.setattr(module, "load_run", lambda name: made[name])
    return made


def test_the_page_lies_in_the_run_folder_or_where_it_is_wanted(
    run: Call, runs: dict[str, Run], tmp_path: Path
) -> None:
    code, text, _ = run("report", "one")
    assert code == 0 and text == f"wrote {runs['one'].folder.report}\n"
    assert runs["one"].folder.report.exists()
    code, text, _ = run("report", "one", "-o", "page.html")
    assert (code, text) == (0, "wrote page.html\n") and (tmp_path / "page.html").exists()
    code, text, _ = run("report", "one", "other")
    assert code == 0 and text.count("wrote ") == 2 and runs["other"].folder.report.exists()


def test_several_runs_are_compared_on_one_page(
    run: Call, runs: dict[str, Run], tmp_path: Path
) -> None:
    code, text, _ = run("report", "one", "other", "--compare")
    assert (code, text) == (0, "wrote comparison.html\n")
    assert "one against other" in (tmp_path / "comparison.html").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("one", "-o", "page.png"), ".html"),
        (("one", "--compare"), "two runs"),
        (("one", "other", "-o", "page.html"), "--compare"),
        ((), "RUN"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    run: Call, runs: dict[str, Run], arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = run("report", *arguments)
    assert code == 2 and said in error


def test_a_run_that_is_not_there_is_named(run: Call) -> None:
    code, _, error = run("report", "nothing")
    assert code == 2 and error.startswith("nothing: no such run")
