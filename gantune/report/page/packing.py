"""What a page carries: plotly's script, figures and details, packed so that it stays small."""

from __future__ import annotations

import base64
import gzip
import json
from functools import cache
from importlib.resources import files
from typing import Any

from gantune.report.page.html import Html

__all__ = ["as_json", "asset", "packed", "plotly_script"]


def asset(name: str) -> str:
    """A text file of this package."""
    return (files("gantune.report.page") / name).read_text(encoding="utf-8")


def as_json(value: Any) -> Html:
    """JSON that may stand in a script element: no text in it can end that.

    Numbers that are not finite must have become ``None`` before.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Html(text.replace("<", "\\u003c"))


def packed(text: str) -> Html:
    """Text compressed with gzip, in base64; the page's script unpacks it."""
    return Html(base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode())


@cache
def plotly_script() -> Html:
    """plotly.js, whole, packed: 2 MB where it has 4.8."""
    from plotly.offline import get_plotlyjs

    return packed(get_plotlyjs())
