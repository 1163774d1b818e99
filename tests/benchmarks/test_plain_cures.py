"""The plain search around failing configs, with canned trainings."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks import plain_cures
from benchmarks.cures import WIDE
from benchmarks.plain_cures import main, search
from benchmarks.sweep import TABLES
from gantune.config import TrialConfig

TABLE = TABLES["digits"]


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch) -> list[TrialConfig]:
    """Scores are best at a rate of 1e-3; each config that is trained is noted."""
    configs: list[TrialConfig] = []

    def scores(config: TrialConfig, _: Any) -> Iterator[float]:
        configs.append(config)
        for left in (3, 2, 1, 0):
            yield left + abs(math.log10(config.generator.lr) + 3)

    monkeypatch.setattr(plain_cures, "scores", scores)
    monkeypatch.setattr(plain_cures, "scoring", lambda *_: None)
    return configs


def test_a_search_begins_with_the_config_and_trains_at_most_twelve_lengths(
    trained: list[TrialConfig],
) -> None:
    found = search(TABLE, None, 1)
    config, _ = TABLE.draw(1)
    assert trained[0] == config and len(trained) >= 12
    best = min(trained, key=lambda one: abs(math.log10(one.generator.lr) + 3))
    assert found["values"]["generator.lr"] == pytest.approx(best.generator.lr)
    assert found["score"] == pytest.approx(abs(math.log10(best.generator.lr) + 3))


def test_rates_that_are_far_too_high_are_searched_over_the_range_of_their_table(
    trained: list[TrialConfig],
) -> None:
    number = next(n for n in range(20) if WIDE.draw(n)[0].generator.lr > 0.5)
    found = search(WIDE, None, number)
    assert all(1e-5 <= config.generator.lr <= 1 for config in trained)
    assert found["values"]["generator.lr"] < 5e-3
    assert min(config.discriminator.lr for config in trained) < 1e-3


def test_what_is_judged_is_added_to_the_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = {"cured": True, "lines": 1, "first_cured": False}
    table = {"judged": dict.fromkeys("567", one), "plain": {"5": True}, "healthy": {}}
    judged: list[tuple[int, Any]] = []

    def write(files: dict[int, Path], *_: Any) -> None:
        for number, file in files.items():
            best = {"score": 9.0, "values": {"loss": "hinge"}} if number == 7 else {}
            file.write_text(json.dumps(best))

    def is_cured(table: Any, runs: Any, number: int, remedy: str, changes: Any) -> bool:
        judged.append((number, changes))
        return True

    monkeypatch.setattr(plain_cures, "write_missing", write)
    monkeypatch.setattr(plain_cures, "is_cured", is_cured)
    (tmp_path / "cures_cpu.json").write_text(json.dumps({"digits": table}))
    main(["--work", str(tmp_path / "work")], tmp_path)
    found = json.loads((tmp_path / "cures_cpu.json").read_text())["digits"]
    assert found["plain"] == {"5": True, "6": False, "7": True}  # 6: no trial came to its end
    assert judged == [(7, (("loss", "hinge"),))]
    text = (tmp_path / "cures_cpu.md").read_text(encoding="utf-8")
    assert "| digits | cured by a plain search | 2 of 3 |" in text
