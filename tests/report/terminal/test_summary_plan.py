"""What ``--dry-run`` prints."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gantune.config import load_config
from gantune.events import Observer
from gantune.report.terminal.summary import print_plan
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare
from tests.report.factory import console, written


@pytest.mark.parametrize(
    ("top", "cost"), [(0, "for 3 trials, about"), (2, "and the finals, about")]
)
def test_a_plan_is_a_config_with_its_cost_at_a_known_speed(
    tmp_path: Path, top: int, cost: str
) -> None:
    options = Options(trials=3, out=tmp_path / "run", overrides=(f"finalists.top={top}",))
    search = prepare("mixture2d", options, Observer())
    placement = replace(search.placement, images_per_second=1000.0)
    made = console(200)
    print_plan(made, replace(search, placement=placement))
    text = written(made)
    assert cost in text and "speed: about 1,000 images/s" in text
    (tmp_path / "one.yaml").write_text(text)
    assert load_config(tmp_path / "one.yaml") == search.config
