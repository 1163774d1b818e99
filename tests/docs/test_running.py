"""Every command and every piece of Python in the documentation runs, on small budgets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, ROOT, SHELL, blocks
from tests.docs.reader import Reader, small_spaces, write_material
from tests.forked import fork_workers

pytestmark = pytest.mark.docs


@pytest.mark.timeout(1800)
@pytest.mark.parametrize(
    "page",
    [page for page in PAGES if blocks(page, "python", *SHELL)],
    ids=lambda page: str(page.relative_to(ROOT)),
)
def test_the_page_goes_as_it_says(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "reader"
    folder.mkdir()
    write_material(folder)
    small_spaces(tmp_path / "search_spaces", monkeypatch)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("COLUMNS", "120")
    with fork_workers():
        assert list(Reader(page, monkeypatch).wrong()) == []
