"""Templates of pages, and what a page carries besides markup.

Everything that becomes HTML goes through ``render``: its templates escape every value that is not
markup already. Nothing else in gantune escapes HTML.
"""

from __future__ import annotations

import base64
import gzip
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_DEFAULT_HEIGHT = 360  # pixels of a figure


@dataclass(frozen=True)
class Drawing:
    """A figure and its place in a page."""

    name: str
    """Unique within the page."""
    figure: Figure
    title: str | None = None
    min_width: int = 0
    """In pixels; a narrower screen scrolls the figure sideways."""

    @property
    def style(self) -> str:
        """Its size as CSS."""
        height = f"height:{int(self.figure.layout.height or _DEFAULT_HEIGHT)}px"
        return f"{height};min-width:{self.min_width}px" if self.min_width else height


@dataclass(frozen=True)
class Section:
    """One part of the page."""

    name: str
    """Its anchor."""
    title: str
    body: Markup
    drawings: Sequence[Drawing] = ()


def section(
    name: str,
    title: str,
    drawings: Sequence[Drawing] = (),
    /,
    template: str | None = None,
    **context: object,
) -> Section:
    """A section whose body is a template, by default ``NAME.html``; ``drawings`` go into it too."""
    body = render(template or f"{name}.html", drawings=drawings, **context)
    return Section(name, title, body, drawings)


def render(template: str, **context: object) -> Markup:
    """A template with these values, which are escaped unless they are ``Markup``.

    Raises ``jinja2.UndefinedError`` where the template needs a value that is missing.
    """
    return Markup(_environment().get_template(template).render(context))


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("gantune.report.page"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.tests["sortable"] = _is_sortable
    return environment


def _is_sortable(value: object) -> bool:
    """Whether a table sorts it as a number, not as text."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def asset(name: str) -> Markup:
    """A style sheet or a script of this package."""
    return Markup((files("gantune.report.page") / name).read_text(encoding="utf-8"))


def as_json(value: Any) -> Markup:
    """JSON for a script element: no text in it can close the element.

    Numbers that are not finite must be ``None``; others raise ``ValueError``.
    """
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return Markup(text.replace("<", "\\u003c"))


def packed(text: str) -> Markup:
    """Text compressed with gzip, in base64; the page's script unpacks it."""
    return Markup(base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode())


def packed_figures(sections: Sequence[Section]) -> Markup:
    """All figures of the sections by name, packed."""
    drawings = [drawing for section in sections for drawing in section.drawings]
    return packed(f"{{{','.join(f'{as_json(d.name)}:{d.figure.to_json()}' for d in drawings)}}}")


@cache
def plotly_script() -> Markup:
    """All of plotly.js, packed: 2 MB instead of 4.8."""
    from plotly.offline import get_plotlyjs

    return packed(get_plotlyjs())
