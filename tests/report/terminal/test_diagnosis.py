"""A diagnosis in words, as a page, and the curves that the page draws."""

from __future__ import annotations

import json
import math
import re
from html import unescape
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from gantune import diagnose
from gantune.health.diagnosis import Diagnosis
from gantune.health.logs import open_records
from gantune.report.analysis import curves as curves_module
from gantune.report.analysis.curves import Curve, add_record
from gantune.report.page.diagnosis import make_page
from gantune.report.terminal.diagnosis import diagnosis_sheet, place
from tests.examples import examples
from tests.health.logs.making import calm_rows, won_rows


def sheet(found: Diagnosis, width: int = 80, *, is_running: bool = False) -> str:
    console = Console(width=width, highlight=False)
    with console.capture() as captured:
        console.print(diagnosis_sheet("run [1].csv", found, is_running))
    return captured.get()


def page(rows: list[dict[str, Any]], name: str = "run.csv", **terms: Any) -> str:
    curves: dict[str, Curve] = {}
    for record in open_records(rows):
        add_record(curves, record)
    return make_page(name, diagnose(rows, **({"loss": "vanilla"} | terms)), curves)


def data_of(html: str) -> list[dict[str, Any]]:
    """The traces that the page hands to plotly."""
    found = re.search(r'Plotly\.newPlot\(\s*"[^"]*",\s*(\[.*?\]),\s*\{"template"', html, re.DOTALL)
    assert found is not None
    traces: list[dict[str, Any]] = json.loads(found[1])
    return traces


def test_a_verdict_comes_with_what_to_try() -> None:
    found = diagnose(won_rows(), loss="vanilla")
    rows = [line for line in sheet(found, 200).splitlines() if line.startswith("try")]
    assert [row.removeprefix("try").strip() for row in rows] == list(map(str, found.proposals))
    html = unescape(page(won_rows()))
    assert all(str(one) in html for one in found.proposals)
    assert "try" not in sheet(diagnose(calm_rows(50), loss="vanilla"))


def test_places() -> None:
    assert place(14_600.0, "step") == "step 14,600"
    assert place(0.5, "step") == "step 0.5" and place(200.0, "kimg") == "200 kimg"


def test_scored_run() -> None:
    rows = won_rows()
    rows[9]["fid"] = 61.25
    text = sheet(diagnose(rows, loss="vanilla"))
    assert "run [1].csv: collapsed by step" in text
    assert "best point  step 1,000, fid 61.2" in text
    assert "after best  90% of the run" in text


def test_run_that_is_stopped_while_it_runs() -> None:
    found = diagnose([{"step": 10, "d_loss": math.nan}])
    text = sheet(found, is_running=True)
    assert "none: no record before the evidence is sound" in text
    assert "after best" not in text and "of the way" not in text and "1 record to step 10" in text


def test_no_line_is_wider_than_the_terminal() -> None:
    for width in (40, 80):
        lines = sheet(diagnose(won_rows()), width).splitlines()
        assert max(map(len, lines)) <= width


def test_page_is_whole_and_escapes_what_it_shows() -> None:
    html = page(won_rows(), "<b>&.csv")
    assert "<title>&lt;b&gt;&amp;.csv: collapsed by step" in html and "<b>&" not in html
    assert "discriminator_won: D loss at" in html and "best point: step" in html
    assert 'name="viewport"' in html and "prefers-color-scheme" in html
    assert re.search(r'<(?:script|link)[^>]*\b(?:src|href)="http', html) is None
    assert len(html) > 1_000_000  # plotly is in it


def test_page_draws_what_was_measured() -> None:
    more = {"d_real": 0.5, "d_fake": -0.5, "d_grad": 1.0, "g_grad": 0.0, "score": 7.0}
    rows = [row | more for row in calm_rows(30)]
    rows[7]["fid"] = 30.0
    names = [trace["name"] for trace in data_of(page(rows))]
    assert names == ["d_loss", "g_loss", "fid", "score", "on real", "on generated", "D", "G"]
    assert [trace["name"] for trace in data_of(page(calm_rows(5)))] == ["d_loss", "g_loss"]


def test_page_of_a_broken_log_has_gaps_and_of_an_empty_one_no_panels() -> None:
    rows = calm_rows(5)
    rows[3]["d_loss"] = math.inf
    assert data_of(page(rows))[0]["y"][3] is None
    assert "not judged" in make_page("x", diagnose(calm_rows(3)), {})


def test_a_log_that_goes_back_is_drawn_as_it_continued() -> None:
    curve = Curve()
    for at, value in ((1, 1.0), (2, 2.0), (3, 3.0), (2, 9.0), (2, 8.0), (4, 4.0)):
        curve.add(at, value)
    assert list(curve.places) == [1, 2, 4] and list(curve.values) == [1, 8, 4]


@examples(20)
@given(count=st.integers(0, 2000))
def test_long_curves_are_thinned_evenly(count: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(curves_module, "_MOST_POINTS", 50)
        curve = Curve()
        for index in range(count):
            curve.add(float(index), 1.0)
    gaps = {b - a for a, b in zip(curve.places, curve.places[1:], strict=False)}
    assert len(curve.places) <= 100 and len(gaps) <= 1
    assert len(curve.places) == count or len(curve.places) >= 50


def test_rules_that_a_log_leaves_unjudged_are_told_with_what_they_need() -> None:
    rows = [{"step": 100 * (k + 1), "d_loss": 1.4, "fid": 50.0} for k in range(30)]
    told = "generator_idle (needs the length of the run)"
    found = diagnose(rows, loss="vanilla")
    assert "not judged" in sheet(found, 300) and told in sheet(found, 300)
    assert told in page(rows)
    rows[-1]["d_loss"] = math.nan
    assert "not judged" not in sheet(diagnose(rows, loss="vanilla"), 300)


def test_a_last_score_far_above_the_best_is_a_note() -> None:
    rows = [{"step": 100 * (k + 1), "d_loss": 1.4, "fid": 50.0} for k in range(30)]
    rows[-1]["fid"] = 400.0
    found = diagnose(rows, loss="vanilla")
    assert found.kind == "healthy"
    assert "! the best score, 50, is of 100 steps; the last is 400, of 3,000 steps" in sheet(
        found, 200
    )
