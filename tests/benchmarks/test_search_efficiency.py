"""The replay of a recorded sweep, and its strategies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import search_efficiency
from benchmarks.search_efficiency import STRATEGIES, intervals, main, spent_until_best


def test_an_interval_holds_the_ratio() -> None:
    row = intervals("x", np.array([1.0, 2.0, 3.0]), np.array([10.0, 12.0, 8.0]), 100.0)
    assert (row.strategy, row.ratio, row.median) == ("x", pytest.approx(0.2), 2.0)
    assert row.low < 0.2 < row.high
    missed = intervals("x", np.array([1.0, np.inf]), np.array([10.0, 12.0]), 100.0)
    assert missed.missed == 1
    assert missed.ratio == pytest.approx((1 + 100) / 22)


@pytest.mark.integration
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_every_strategy_finds_one_of_the_best(strategy: str) -> None:
    spent = spent_until_best("digits", strategy, seed=1)
    assert 40 <= spent <= 304 * 40 or ("hyperband" in strategy and spent == float("inf"))
    if "halving (default)" in strategy:
        assert spent == spent_until_best("digits", strategy, seed=1)


def test_the_figures_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = {name: STRATEGIES[name] for name in list(STRATEGIES)[:2]}
    monkeypatch.setattr(search_efficiency, "STRATEGIES", chosen)
    monkeypatch.setattr(
        search_efficiency, "spent_until_best", lambda table, strategy, seed: 100.0 + seed
    )
    monkeypatch.setattr(
        search_efficiency,
        "run_all",
        lambda jobs, processes: [search_efficiency.spent_until_best(*job) for job in jobs],
    )
    main(["--orders", "3"], tmp_path, tmp_path / "page.md")
    text = (tmp_path / "search_efficiency_cpu.md").read_text(encoding="utf-8")
    assert "| random | 1.000 |" in text
