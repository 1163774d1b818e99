"""Markup: every plain string is text."""

from __future__ import annotations

from gantune.report.page.html import join, tag, text


def test_text_and_attributes_are_escaped() -> None:
    made = tag("p", "<script>alert(1)</script>", title='a"b<c', class_="note", data_sort="1")
    assert made == (
        '<p title="a&quot;b&lt;c" class="note" data-sort="1">'
        "&lt;script&gt;alert(1)&lt;/script&gt;</p>"
    )


def test_elements_in_elements_stay_markup() -> None:
    assert tag("p", tag("b", "1 < 2"), None, " & more") == "<p><b>1 &lt; 2</b> &amp; more</p>"
    assert join(["<", tag("br")]) == "&lt;<br>"
    assert text(text("<")) == "&lt;"


def test_attributes_without_a_value_and_those_that_do_not_stand() -> None:
    assert tag("input", disabled=True, checked=False, title=None) == "<input disabled>"
    assert tag("meta", name="viewport") == '<meta name="viewport">'
