"""A trial's own ``ticks.jsonl``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantune import diagnose
from tests.health.logs.making import as_lines

BROKEN = {"d_loss": float("nan"), "non_finite": 1.0}


def write(folder: Path, **late: float) -> Path:
    names = ("g_loss", "d_real", "d_fake", "d_real_std", "d_fake_std", "d_grad", "g_grad", "spread")
    calm = dict.fromkeys(names, 0.7) | {"d_loss": 1.38, "non_finite": 0.0, "penalties": {}}
    ticks = [calm | {"kimg": float(k), "step": 16 * k} for k in range(1, 21)]
    for tick in ticks[15:]:
        tick |= late
    path = folder / "ticks.jsonl"
    path.write_text(as_lines(ticks))
    return path


def scores(folder: Path, *values: tuple[float, float | None, float]) -> None:
    lines = [{"kimg": kimg, "rung": rung, "value": value} for kimg, rung, value in values]
    (folder / "scores.jsonl").write_text(as_lines(lines))


def test_its_scores_are_read_but_not_the_one_at_the_end(tmp_path: Path) -> None:
    path = write(tmp_path, **BROKEN)
    scores(tmp_path, (0.0, 0.0, 900.0), (5.0, 0.25, 90.0), (10.0, 0.5, 95.0), (5.0, None, 80.0))
    found = diagnose(path)
    assert (found.kind, found.unit) == ("diverged", "kimg")
    assert found.verdict and found.verdict.at == 16.0
    assert found.best == 5.0 and found.best_score and found.best_score.value == 90.0
    assert found.wasted_share == pytest.approx(0.75)
    assert "3 scores read from scores.jsonl" in found.notes


def test_its_config_tells_the_loss_and_the_length(tmp_path: Path) -> None:
    path = write(tmp_path)
    (tmp_path / "config.yaml").write_text("loss: hinge\nkimg: 40\n")
    found = diagnose(path)
    assert found.loss == "hinge"
    assert "loss hinge and length 40 kimg as in config.yaml" in found.notes
    (tmp_path / "config.yaml").write_text("loss: [\n")
    assert diagnose(path).loss is None


def test_a_flat_score_is_judged_beside_the_untrained_generators(tmp_path: Path) -> None:
    path = write(tmp_path, spread=0.01)
    path.write_text(path.read_text().replace('"spread": 0.7', '"spread": 0.1'))
    (tmp_path / "config.yaml").write_text("loss: vanilla\nkimg: 20\n")
    scores(tmp_path, (0.0, 0.0, 900.0), (10.0, 0.5, 890.0), (15.0, 0.75, 880.0))
    found = diagnose(path)
    assert found.verdict and (found.verdict.rule, found.verdict.at) == ("stillborn", 10.0)
    assert json.loads(json.dumps(found.to_dict()))["step"] == 10.0


def test_it_is_judged_as_the_search_judged_it(tmp_path: Path) -> None:
    """With the steps that generator_idle counts, and the spread that spares a slow start."""
    path = write(tmp_path)
    (tmp_path / "config.yaml").write_text("loss: vanilla\nkimg: 20\n")
    text = path.read_text().replace('"penalties"', '"g_update": 1e-05, "penalties"')
    path.write_text(text)
    assert diagnose(path).to_dict()["rule"] == "generator_idle"
    path.write_text(text.replace("1e-05", "0.01").replace('"spread": 0.7', '"spread": 0.1'))
    late = [(0.0, 0.0, 900.0, 0.001), (10.0, 0.5, 890.0, 0.5), (15.0, 0.75, 880.0, 0.5)]
    names = ("kimg", "rung", "value", "spread")
    lines = [dict(zip(names, line, strict=True)) for line in late]
    (tmp_path / "scores.jsonl").write_text(as_lines(lines))
    assert diagnose(path).kind == "healthy"
    (tmp_path / "scores.jsonl").write_text(as_lines([line | {"spread": 0.1} for line in lines]))
    assert diagnose(path).to_dict()["rule"] == "stillborn"


def test_a_trainers_own_trial_is_known_by_its_folder(tmp_path: Path) -> None:
    ticks = [{"kimg": float(k), "seconds": 0.1, "d_loss": 1.0} for k in range(1, 21)]
    (tmp_path / "ticks.jsonl").write_text(as_lines(ticks))
    (tmp_path / "config.yaml").write_text("trainer: mine.py:train\nkimg: 20\nloss: hinge\n")
    scores(tmp_path, (10.0, 0.5, 3.0))
    found = diagnose(tmp_path / "ticks.jsonl")
    assert found.loss == "hinge" and found.best_score and found.best_score.value == 3.0
    assert "loss hinge and length 20 kimg as in config.yaml" in found.notes
