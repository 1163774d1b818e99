"""Templates: every plain string is text."""

from __future__ import annotations

import jinja2
import pytest
from markupsafe import Markup

from gantune.report.page.html import as_json, render


def test_values_are_escaped_in_text_and_attributes() -> None:
    evil = "<script>alert(1)</script>\"'&"
    page = render("notebook_run.html", study=evil, status="", endings="", best="", folder="")
    assert "<b>&lt;script&gt;alert(1)&lt;/script&gt;&#34;&#39;&amp;</b>" in page
    pictures = render("notebook_samples.html", width='1" onload="x', pictures=[("1", evil)])
    assert '<img width="1&#34; onload=&#34;x"' in pictures and "<script" not in pictures


def test_markup_stays_markup() -> None:
    bold = Markup("<b>1 &lt; 2</b>")
    page = render("notebook_run.html", study=bold, status="", endings="", best="", folder="<")
    assert "<b><b>1 &lt; 2</b></b>" in page and "<code>&lt;</code>" in page


def test_a_missing_value_is_an_error() -> None:
    with pytest.raises(jinja2.UndefinedError, match="status"):
        render("notebook_run.html", study="")


def test_json_cannot_close_its_script() -> None:
    assert as_json({"a": "</script>", "b": None}) == '{"a":"\\u003c/script>","b":null}'
    with pytest.raises(ValueError, match="JSON compliant"):
        as_json(float("nan"))
