"""The README in Chinese says what the README says, as far as that can be counted."""

from __future__ import annotations

import re

import pytest

from tests.docs.blocks import ROOT, Block, blocks, prose

pytestmark = pytest.mark.docs

ENGLISH, CHINESE = ROOT / "README.md", ROOT / "README.zh-CN.md"


def code(block: Block) -> list[str]:
    """The lines of a block without comments, which are translated."""
    if block.language == "text":
        return block.text.splitlines()
    return [re.sub(r"\s*(^|\s)#\s.*", "", line).rstrip() for line in block.text.splitlines()]


def test_both_have_the_same_code() -> None:
    ours, theirs = blocks(ENGLISH), blocks(CHINESE)
    assert [block.language for block in ours] == [block.language for block in theirs]
    for here, there in zip(ours, theirs, strict=True):
        assert code(here) == code(there), there


def test_both_have_the_same_headings_tables_and_pictures() -> None:
    for pattern in (r"^#+ ", r"^\|", r"^!\[", r"^- "):
        counts = [
            len(re.findall(pattern, prose(page), re.MULTILINE)) for page in (ENGLISH, CHINESE)
        ]
        assert counts[0] == counts[1], pattern


def test_both_link_to_the_same_pages_and_name_the_same_things() -> None:
    link, name = re.compile(r"\]\(([^)]+)\)"), re.compile(r"`([^`\n]+)`")
    links = [set(link.findall(prose(page))) for page in (ENGLISH, CHINESE)]
    assert links[0] - {CHINESE.name} == links[1] - {ENGLISH.name}
    names = [_outside_blocks(page.read_text(encoding="utf-8")) for page in (ENGLISH, CHINESE)]
    assert set(name.findall(names[0])) == set(name.findall(names[1]))


def _outside_blocks(text: str) -> str:
    return re.sub(r"^```.*?^```$", "", text, flags=re.MULTILINE | re.DOTALL)


def test_the_chinese_page_is_in_chinese() -> None:
    text = prose(CHINESE)
    assert len(re.findall(r"[\u4e00-\u9fff]", text)) > 1500
    assert re.search(r"[\u4e00-\u9fff],|[\u4e00-\u9fff]\.|[\u4e00-\u9fff];", text) is None
