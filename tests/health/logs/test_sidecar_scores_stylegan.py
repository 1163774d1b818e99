"""StyleGAN's ``stats.jsonl``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantune import diagnose
from gantune.health.logs import open_log
from tests.health.logs.making import as_lines, stylegan_line


def write(folder: Path, count: int = 40, **more: float) -> Path:
    path = folder / "stats.jsonl"
    path.write_text(as_lines(stylegan_line(4.0 * k + 0.032, 1.3, **more) for k in range(count)))
    return path


def metric(kimg: int, value: float, name: str = "fid50k_full") -> dict[str, object]:
    snapshot = f"network-snapshot-{kimg:06d}.pkl"
    return {"results": {name: value}, "metric": name, "snapshot_pkl": snapshot}


def test_its_means_are_read_and_its_loss_is_assumed_and_said(tmp_path: Path) -> None:
    with open_log(write(tmp_path)) as log:
        record = next(iter(log))
        assert (record.at, record.unit) == (0.032, "kimg")
        assert record.values == {"d_loss": 1.3, "g_loss": 0.9, "d_real": 0.5, "d_fake": -0.5}
    found = diagnose(tmp_path / "stats.jsonl")
    assert (found.kind, found.loss, found.unit) == ("healthy", "vanilla", "kimg")
    assert "its loss is taken for vanilla, its R1 apart" in found.notes[0]
    assert diagnose(tmp_path / "stats.jsonl", loss="hinge").loss == "hinge"


def test_two_penalties_are_those_of_r3gan(tmp_path: Path) -> None:
    path = write(tmp_path, 40, **{"Loss/r1_penalty": 0.1, "Loss/r2_penalty": 0.1})
    assert diagnose(path).loss == "relativistic"


def test_a_mean_of_nothing_is_not_measured(tmp_path: Path) -> None:
    line = stylegan_line(4.0, 1.3)
    line["Loss/G/loss"] = {"num": 0, "mean": float("nan"), "std": float("nan")}
    path = tmp_path / "stats.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert diagnose(path).verdict is None
    line["Loss/G/loss"]["num"] = 64
    path.write_text(json.dumps(line) + "\n")
    assert diagnose(path).kind == "diverged"


@pytest.mark.parametrize("name", ["fid50k_full", "fid50k"])
def test_fid_beside_it_stands_at_its_snapshot(name: str, tmp_path: Path) -> None:
    path = write(tmp_path)
    lines = [metric(0, 300.0, name), metric(80, 20.0, name), metric(152, 25.0, name)]
    torn = '{"results": {"fid'
    none: dict[str, object] = {"results": {name: 1.0}, "snapshot_pkl": None}
    (tmp_path / f"metric-{name}.jsonl").write_text(as_lines([*lines, none]) + torn)
    found = diagnose(path)
    assert found.best == pytest.approx(80.032)
    assert found.best_score and (found.best_score.name, found.best_score.value) == ("fid", 20.0)
    assert found.records == 40
    assert f"3 FIDs read from metric-{name}.jsonl" in found.notes
