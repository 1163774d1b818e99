"""Markup whose every text is escaped: plain strings are text, only ``Html`` is markup."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

__all__ = ["Html", "Node", "join", "tag", "text"]

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
