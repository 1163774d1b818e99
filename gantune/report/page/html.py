"""Markup whose every text is escaped: plain strings are text, only ``Html`` is markup."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache
from html import escape
from importlib.resources import files
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from plotly.graph_objects import Figure


_VOID = frozenset({"br", "img", "input", "meta"})


class Html(str):
    """Markup that may stand in a page as it is; made by ``tag`` alone."""

    __slots__ = ()


Node = Html | str | None
"""What may stand in an element; ``None`` is nothing."""


def text(value: object) -> Html:
    """Any text, escaped; markup stays markup."""
    return value if isinstance(value, Html) else Html(escape(str(value)))


def join(nodes: Iterable[Node]) -> Html:
    """Nodes one after the other."""
    return Html("".join(text(node) for node in nodes if node is not None))


def tag(name: str, /, *children: Node, **attributes: str | bool | None) -> Html:
    """An element. ``class_`` is written ``class``, ``data_sort`` is ``data-sort``; an attribute
    that is ``True`` stands without a value, one that is ``None`` or ``False`` does not stand."""
    written = "".join(_attribute(key, value) for key, value in attributes.items())
    if name in _VOID:
        return Html(f"<{name}{written}>")
    return Html(f"<{name}{written}>{join(children)}</{name}>")


def _attribute(key: str, value: str | bool | None) -> str:
    if value is None or value is False:
        return ""
    key = key.removesuffix("_").replace("_", "-")
    return f" {key}" if value is True else f' {key}="{escape(value)}"'


# What a page carries: plotly's script, figures and details, packed so that it stays small.


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


# ``Section``: one part of the page, with the figures that are drawn in it.


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    name: str
    """Its anchor."""
    title: str
    body: Html
    figures: Mapping[str, Figure] = field(default_factory=dict)
    """By the name of their place."""

    def to_html(self) -> Html:
        """The whole part, under its title."""
        return tag("section", tag("h2", self.title), self.body, id=self.name)


def figure_place(name: str, figure: Figure, title: str | None = None, wide: int = 0) -> Html:
    """Where a figure is drawn once it comes into view.

    ``wide``: pixels that it needs; a narrower screen scrolls it sideways.
    """
    height = int(figure.layout.height or 360)
    style = f"height:{height}px" + (f";min-width:{wide}px" if wide else "")
    place = tag("div", data_figure=name, style=style, class_="plot", role="img", aria_label=title)
    heading = tag("figcaption", title) if title else None
    return tag("figure", heading, tag("div", place, class_="scroll"))


def notes(lines: Iterable[Node], kind: str = "note") -> Html:
    """Sentences under or over a figure."""
    return join(tag("p", line, class_=kind) for line in lines)
