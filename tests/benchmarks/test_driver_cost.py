"""The benchmark of the driver's cost on a study of a few trials."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import driver_cost
from gantune.space import load_space


@pytest.mark.integration
@pytest.mark.parametrize("storage", [None, "sqlite:///{home}/study.db"])
def test_costs_of_a_small_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, storage: str | None
) -> None:
    monkeypatch.setattr(driver_cost, "_PLAYED", 3)
    space = load_space("dcgan", ("budget.trials=8", "finalists.top=0"))
    url = storage and storage.format(home=tmp_path)
    costs = driver_cost.measure(space, tmp_path, 5, url)
    assert costs["trials"] == 5
    assert all(costs[name] > 0 for name in ("next_assignment", "report", "finish", "flush_results"))
    table = (tmp_path / "run-5" / "trials.csv").read_text().splitlines()
    assert len(table) == 1 + 8
