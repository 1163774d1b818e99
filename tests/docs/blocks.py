"""What stands in the documentation: its pages, their blocks of code, their commands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["PAGES", "ROOT", "SHELL", "Block", "blocks", "commands", "prose"]

ROOT = Path(__file__).resolve().parents[2]
SHELL = ("sh", "shell", "bash")
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]

_FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"# ([\w./-]+\.(?:py|yaml))\n")


@dataclass(frozen=True)
class Block:
    """A fenced block of one language, and where its text begins."""

    page: Path
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The file that the block is, where its first line names one: ``# mine.py``."""
        found = _FILE.match(self.text)
        return found[1] if found else None


def blocks(page: Path, *languages: str) -> list[Block]:
    """The page's blocks in these languages, or all of them, in their order."""
    text = page.read_text(encoding="utf-8")
    found = (
        Block(page, text.count("\n", 0, match.start(2)) + 1, match[1], match[2])
        for match in _FENCE.finditer(text)
    )
    return [block for block in found if not languages or block.language in languages]


def commands(block: Block) -> Iterator[str]:
    """The commands of a block of shell, without comments.

    Where lines begin with ``$`` these are the commands, and the others what they print.
    """
    lines = block.text.replace("\\\n", " ").splitlines()
    if any(line.startswith("$ ") for line in lines):
        lines = [line[2:] for line in lines if line.startswith("$ ")]
    for line in lines:
        command = " ".join(re.sub(r"(^|\s)#\s.*", "", line).split())
        if command:
            yield command


def prose(page: Path) -> str:
    """The page without its blocks of code, and without code in its lines."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.sub(r"`[^`\n]*`", "", text)
