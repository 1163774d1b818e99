"""The notebooks run, and what they show is kept in them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import nbformat
import pytest

from notebooks.execute import NOTEBOOKS, execute, figures
from tests.docs.blocks import ROOT

pytestmark = pytest.mark.docs

CHANGES = {
    "trials=12": "trials=2",
    "trials=24": "trials=4",
    "{trials: 8}": "{trials: 2}",
    "{trials: 10}": "{trials: 2}",
    "kimg=8": "kimg=1",
    "kimg=10": "kimg=1",
    "kimg=24": "kimg=2",
    "kimg: 8": "kimg: 1",
    "kimg: 20": "kimg: 1",
    "seeds=2": "seeds=1",
    "seeds: 2": "seeds: 1",
    "samples: 1000, rung_samples: 500": "samples: 100, rung_samples: 50",
}
"""Small budgets in place of those that the kept outputs had."""

each = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)


def code(path: Path) -> list[nbformat.NotebookNode]:
    return [cell for cell in nbformat.read(path, 4).cells if cell.cell_type == "code"]


def test_there_are_four_in_an_order() -> None:
    assert [path.name[:2] for path in NOTEBOOKS] == ["1_", "2_", "3_", "4_"]


@each
def test_every_cell_is_kept_as_it_ran_without_an_error(path: Path) -> None:
    nbformat.validate(nbformat.read(path, 4))
    assert [cell.execution_count for cell in code(path)] == list(range(1, len(code(path)) + 1))
    kinds = {output.output_type for cell in code(path) for output in cell.outputs}
    assert "error" not in kinds and kinds
    streams = [out for cell in code(path) for out in cell.outputs if out.output_type == "stream"]
    assert [out.text for out in streams if out.name == "stderr"] == []


@each
def test_it_is_small(path: Path) -> None:
    assert path.stat().st_size < 1_000_000


@each
def test_figures_are_kept_with_a_picture(path: Path) -> None:
    assert all("image/png" in data for data in figures(nbformat.read(path, 4)))


@each
def test_the_code_can_be_read_and_links_lead_somewhere(path: Path) -> None:
    for cell in code(path):
        text = re.sub(r"^%%writefile.*\n", "", cell.source)
        if not cell.source.startswith("%%writefile") or ".py" in cell.source.split("\n")[0]:
            ast.parse(text)
    text = "\n".join(c.source for c in nbformat.read(path, 4).cells if c.cell_type == "markdown")
    for link in re.findall(r"\]\(([^)]+)\)", text):
        assert (path.parent / link).resolve().is_relative_to(ROOT), link
        assert (path.parent / link).exists(), link


def test_every_change_is_of_something() -> None:
    text = "\n".join(cell.source for path in NOTEBOOKS for cell in code(path))
    assert [change for change in CHANGES if change not in text] == []


FORKS = f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from tests.forked import fork_workers
forks = fork_workers()
forks.__enter__()
"""
"""What the kernel runs before the cells: searches start their workers at once."""


@pytest.mark.timeout(1800)
@each
def test_it_runs(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    startup = tmp_path / "ipython/profile_default/startup"
    startup.mkdir(parents=True)
    (startup / "forks.py").write_text(FORKS)
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    book = execute(path, tmp_path, CHANGES)
    assert len(figures(book)) == len(figures(nbformat.read(path, 4)))
    assert [cell.source for cell in book.cells] == [c.source for c in nbformat.read(path, 4).cells]
