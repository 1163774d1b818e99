"""How blocks and commands are found."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.docs.blocks import PAGES, SHELL, Block, blocks, commands, prose

pytestmark = pytest.mark.docs

HERE = Path(__file__)


def shell(text: str) -> list[str]:
    return list(commands(Block(HERE, 1, "sh", text)))


def test_comments_and_broken_lines() -> None:
    assert shell("gantune best run#7   # trial 7\n\n# none\nls \\\n    -l\n") == [
        "gantune best run#7",
        "ls -l",
    ]


def test_where_lines_begin_with_a_dollar_the_others_are_output() -> None:
    assert shell("$ ls\nfile\n\n$ pwd\n/\n") == ["ls", "pwd"]


def test_blocks_have_their_place_and_their_file(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("a `b`\n```sh\nls\n```\n\n```python\n# mine.py\nx = 1\n```\nend\n")
    first, second = blocks(page)
    assert (first.line, first.language, first.text, first.file) == (3, "sh", "ls\n", None)
    assert (second.line, second.file) == (7, "mine.py")
    assert blocks(page, "python") == [second]
    assert prose(page) == "a \n\n\n\nend\n"


def test_every_page_has_blocks_of_known_languages() -> None:
    known = {*SHELL, "python", "yaml", "json", "text", ""}
    for page in PAGES:
        found = blocks(page)
        assert found, page
        assert {block.language for block in found} <= known, page
        assert page.read_text(encoding="utf-8").count("\n```") == 2 * len(found), page
