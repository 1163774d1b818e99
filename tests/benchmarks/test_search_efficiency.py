"""The benchmark of the search's efficiency: its strategies, figures and files."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_efficiency
from benchmarks.replay import Replay, Trace, recorded
from benchmarks.search_efficiency import Winner, curve, interval, main, summarised, trace
from benchmarks.search_figure import SHOWN, draw
from benchmarks.searches import STRATEGIES, WINNERS, printed_winner


def test_an_interval_holds_the_ratio() -> None:
    found = interval(np.array([1.0, 2.0, 3.0]), np.array([10.0, 12.0, 8.0]))
    assert found["ratio"] == pytest.approx(0.2)
    assert found["low"] < 0.2 < found["high"]


def test_a_search_without_one_of_the_best_is_charged_for_the_whole_table() -> None:
    whole = 304 * 40.0
    traces = {
        "random": [Trace(whole / 2, ((40.0, 9), (whole / 2, 1)))],
        "x": [Trace(math.inf, ((40.0, 7),)), Trace(40.0, ((40.0, 3),))],
    }
    found = summarised("digits", traces)["x"]
    assert found["missed"] == 1
    assert found["ratio"] == pytest.approx((whole + 40) / 2 / (whole / 2))
    assert found["curve"][-1] == 5  # the median of ranks 7 and 3


def test_a_curve_begins_where_half_of_the_searches_have_a_setting() -> None:
    progress = [[(2.0, 5), (100.0, 2)], [(20.0, 3)], []]
    line = curve(progress, settings=100, kimg=10.0)
    shares = search_efficiency._SHARES
    known = {share: rank for share, rank in zip(shares, line, strict=True) if rank is not None}
    assert min(known) == pytest.approx(0.02, rel=0.13)
    assert known[0.1] == 3
    assert known[1.0] == 3


@pytest.mark.integration
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_finds_one_of_the_best(strategy: str) -> None:
    found = trace("digits", strategy, seed=1)
    assert 40 <= found.kimg <= 304 * 40 or ("yperband" in strategy and found.kimg == math.inf)
    ranks = [rank for _, rank in found.progress]
    assert ranks == sorted(ranks, reverse=True)
    if math.isfinite(found.kimg):
        assert found.progress[-1][0] == found.kimg
        assert ranks[-1] <= 3
    if "halving (default)" in strategy:
        assert found == trace("digits", strategy, seed=1)


@pytest.mark.integration
@pytest.mark.parametrize("search", WINNERS)
def test_a_whole_search_prints_one_of_its_finalists(search: str) -> None:
    replay = Replay(recorded("digits"))
    found = printed_winner(replay, WINNERS[search], seed=1)
    assert found in replay.reached(100)
    begun = {"a third fewer": 40, "a third more": 80, "two thirds more": 100}
    share = search.removeprefix("the same, ").removesuffix(" trials")
    assert len(replay.reached(0)) == begun.get(share, 60)


@pytest.mark.integration
def test_the_figures_are_written_and_other_tables_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    found = {name: [Trace(100.0 + k, ((100.0 + k, 2),)) for k in range(3)] for name in SHOWN}
    figures = {
        **search_efficiency.facts("digits"),
        "orders": 3,
        "machine": "a machine",
        "strategies": summarised("digits", found),
        "winners": {
            "default": search_efficiency._shares([Winner(9.0, True, False, True, False)] * 3)
        },
    }
    monkeypatch.setattr(search_efficiency, "measure", lambda *_: figures)
    peers = {"DEHB": [Trace(404.0, ((404.0, 1),)), Trace(math.inf, ())]}
    monkeypatch.setattr(search_efficiency, "measured", lambda table: peers)
    earlier = {**figures, "settings": 150}
    (tmp_path / "search_efficiency_cpu.json").write_text(json.dumps({"fashion": earlier}))
    page = tmp_path / "page.md"
    page.write_text("<!-- search_efficiency_cpu -->\n<!-- end -->\n")
    main(["--orders", "3", "--tables", "digits", "--json"], tmp_path, page)
    assert list(json.loads(capsys.readouterr().out)) == ["digits", "fashion"]
    text = (tmp_path / "search_efficiency_cpu.md").read_text(encoding="utf-8")
    assert "| random | 1.000 | 0.99 to 1.01 | 101 | 0 | 3 |" in text
    assert "| DEHB | 62." in text
    assert "| 6,282 | 1 | 2 |" in text
    assert "Beside the best search of another library on `digits`, Optuna: TPE" in text
    assert "| default | 3 | 0 | 3 | 0 | 9 |" in text
    assert text.index("Table `digits`") < text.index("Table `fashion`")
    assert "| random | 1.000 |" in page.read_text(encoding="utf-8")
    drawing = ET.parse(tmp_path / "images" / "search-efficiency.svg")
    assert "150 settings" in ET.tostring(drawing.getroot(), encoding="unicode")


@pytest.mark.parametrize(
    ("tables", "message"),
    [("faces", "'faces' is none of digits, fashion, cifar"), ("digits,", "'' is none of")],
)
def test_an_unknown_table_is_refused(
    tables: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--tables", tables])
    assert refused.value.code == 2
    assert message in capsys.readouterr().err


def test_a_figure_holds_what_has_no_setting_yet() -> None:
    strategies = {"random": {"curve": [None, None, 3.0, 1.0]}}
    tree = {"digits": {"settings": 20, "strategies": strategies}}
    root = ET.fromstring(draw(tree, [0.001, 0.01, 0.1, 1.0]))
    assert root.get("width") == "390"
