"""``Section``: one part of the page, with the figures that are drawn in it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gantune.report.page.html import Html, Node, join, tag

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

__all__ = ["Section", "figure_place", "notes"]


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
