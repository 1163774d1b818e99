"""The benchmark of margins, with canned trainings."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import margins
from benchmarks.cures import Job, Runs, reference
from benchmarks.margins import main, winners
from benchmarks.sweep import TABLES
from gantune.tuner.finals.margins import Margin, TrainedMargins

TABLE = TABLES["digits"]


@pytest.mark.integration
def test_the_winners_are_of_the_better_half() -> None:
    found = winners(TABLE)
    assert len(set(found)) == 20 and found == sorted(found)
    assert 0 < reference("digits") < 200


def test_each_multiple_is_trained_again_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = (
        Margin("generator.lr", {2.0: True, 0.5: True, 4.0: False}),
        Margin("discriminator.lr", {2.0: False}),
    )
    jobs: list[Job] = []

    def results(self: Runs, given: list[Job]) -> list[dict[str, Any]]:
        jobs.extend(given)
        rules: dict[str, list[str | None]] = {  # of three seeds
            "generator.lr_2x": [None, None, "exploding"],
            "discriminator.lr_2x": ["exploding", "cycling", None],
        }
        return [{"rule": rule} for rule in rules.get(given[0].remedy, [None] * 3)]

    monkeypatch.setattr(Runs, "results", results)
    monkeypatch.setattr(margins, "winners", lambda table: [3])
    monkeypatch.setattr(margins, "train_margins", lambda *_, **__: TrainedMargins(40, 120, 9, told))
    main(["--work", str(tmp_path / "work")], tmp_path)
    rate = TABLE.draw(3)[0].generator.lr
    assert {job.seed for job in jobs} == {101, 102, 103}
    assert jobs[0].changes == (("generator.lr", float(f"{2 * rate:.4g}")),)
    text = capsys.readouterr().out
    assert "predicted to survive, and does: 2 of 2" in text
    assert "predicted to fail, and does: 1 of 2" in text
    one = json.loads((tmp_path / "margins_cpu.json").read_text())["digits"]["3"]
    assert one["retrained"]["generator.lr"] == {"2": True, "0.5": True, "4": True}
    jobs.clear()
    main(["--work", str(tmp_path / "work")], tmp_path)
    assert jobs == []
