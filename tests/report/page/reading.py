"""Reads text, elements and data from a page."""

from __future__ import annotations

import base64
import gzip
import json
import re
from html.parser import HTMLParser
from typing import Any


class _Words(HTMLParser):
    """Collects the visible text and the elements."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self._skipped = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        self._skipped += tag in ("script", "style")

    def handle_endtag(self, tag: str) -> None:
        self._skipped -= tag in ("script", "style")

    def handle_data(self, data: str) -> None:
        if not self._skipped:
            self.parts.append(data)


def words(page: str) -> str:
    """The visible text of a page, with single blanks."""
    reader = _Words()
    reader.feed(page)
    return " ".join(" ".join(reader.parts).split())


def elements(page: str) -> list[tuple[str, dict[str, str | None]]]:
    """All elements of a page with their attributes."""
    reader = _Words()
    reader.feed(page)
    return reader.elements


def carried(page: str, name: str) -> Any:
    """The data in a script element of the page, unpacked."""
    found = re.search(rf'<script[^>]* id="{name}">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    if name == "pictures":
        return json.loads(found[1])
    return json.loads(gzip.decompress(base64.b64decode(found[1])))
