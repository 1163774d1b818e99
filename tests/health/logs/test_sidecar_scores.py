"""The ``ticks.jsonl`` of a trial, with the files beside it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gantune import diagnose
from gantune.health.logs import open_log
from tests.health.logs.making import as_lines, stylegan_line

BROKEN = {"d_loss": float("nan"), "non_finite": 1.0}


def write_run(folder: Path, **late: float) -> Path:
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


def test_scores_of_a_trial_are_read_except_the_final_one(tmp_path: Path) -> None:
    path = write_run(tmp_path, **BROKEN)
    scores(tmp_path, (0.0, 0.0, 900.0), (5.0, 0.25, 90.0), (10.0, 0.5, 95.0), (5.0, None, 80.0))
    found = diagnose(path)
    assert (found.kind, found.unit) == ("diverged", "kimg")
    assert found.verdict and found.verdict.at == 16.0
    assert found.best == 5.0 and found.best_score and found.best_score.value == 90.0
    assert found.wasted_share == pytest.approx(0.75)
    assert "3 scores read from scores.jsonl" in found.notes


def test_loss_and_length_are_read_from_the_config(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    (tmp_path / "config.yaml").write_text("loss: hinge\nkimg: 40\n")
    found = diagnose(path)
    assert found.loss == "hinge"
    assert "loss hinge and length 40 kimg read from config.yaml" in found.notes
    (tmp_path / "config.yaml").write_text("loss: [\n")
    assert diagnose(path).loss == "vanilla", "guessed from the first losses"


def test_what_to_try_follows_from_the_config_beside_the_log(tmp_path: Path) -> None:
    path = write_run(tmp_path)
    path.write_text(path.read_text().replace('"penalties"', '"g_update": 1e-05, "penalties"'))
    (tmp_path / "config.yaml").write_text("loss: hinge\nkimg: 20\n")
    (tmp_path / "scores.jsonl").touch()
    found = diagnose(tmp_path)  # the folder of the training
    assert found.verdict is not None and found.proposals
    for one in found.proposals:
        assert one.changes and one.remedy.name not in ("hinge", "adam", "one_d_step")
    other = diagnose(path, loss="vanilla")
    assert other.verdict is not None and not any(one.changes for one in other.proposals)


def test_flat_score_is_compared_with_the_untrained_generator(tmp_path: Path) -> None:
    path = write_run(tmp_path, spread=0.01)
    path.write_text(path.read_text().replace('"spread": 0.7', '"spread": 0.1'))
    (tmp_path / "config.yaml").write_text("loss: vanilla\nkimg: 20\n")
    scores(tmp_path, (0.0, 0.0, 900.0), (10.0, 0.5, 890.0), (15.0, 0.75, 880.0))
    found = diagnose(path)
    assert found.verdict and (found.verdict.rule, found.verdict.at) == ("stillborn", 10.0)
    assert json.loads(json.dumps(found.to_dict()))["step"] == 10.0


def test_trial_is_judged_as_in_its_search(tmp_path: Path) -> None:
    """With the steps that generator_idle counts, and the spread that spares a slow start."""
    path = write_run(tmp_path)
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


def test_trial_of_an_external_trainer_is_recognised_by_its_folder(tmp_path: Path) -> None:
    ticks = [{"kimg": float(k), "seconds": 0.1, "d_loss": 1.0} for k in range(1, 21)]
    (tmp_path / "ticks.jsonl").write_text(as_lines(ticks))
    (tmp_path / "config.yaml").write_text("trainer: mine.py:train\nkimg: 20\nloss: hinge\n")
    scores(tmp_path, (10.0, 0.5, 3.0))
    found = diagnose(tmp_path / "ticks.jsonl")
    assert found.loss == "hinge" and found.best_score and found.best_score.value == 3.0
    assert "loss hinge and length 20 kimg read from config.yaml" in found.notes


def write_stylegan(folder: Path, count: int = 40, **more: float) -> Path:
    path = folder / "stats.jsonl"
    path.write_text(as_lines(stylegan_line(4.0 * k + 0.032, 1.3, **more) for k in range(count)))
    return path


def metric(kimg: int, value: float, name: str = "fid50k_full") -> dict[str, object]:
    snapshot = f"network-snapshot-{kimg:06d}.pkl"
    return {"results": {name: value}, "metric": name, "snapshot_pkl": snapshot}


def test_stylegan_means_are_read_and_the_assumed_loss_is_in_the_notes(tmp_path: Path) -> None:
    with open_log(write_stylegan(tmp_path)) as log:
        record = next(iter(log))
        assert (record.at, record.unit) == (0.032, "kimg")
        assert record.values == {"d_loss": 1.3, "g_loss": 0.9, "d_real": 0.5, "d_fake": -0.5}
    found = diagnose(tmp_path / "stats.jsonl")
    assert (found.kind, found.loss, found.unit) == ("healthy", "vanilla", "kimg")
    assert "judged by the loss vanilla without its R1" in found.notes[0]
    assert diagnose(tmp_path / "stats.jsonl", loss="hinge").loss == "hinge"


def test_two_penalties_are_those_of_r3gan(tmp_path: Path) -> None:
    path = write_stylegan(tmp_path, 40, **{"Loss/r1_penalty": 0.1, "Loss/r2_penalty": 0.1})
    assert diagnose(path).loss == "relativistic"


def test_mean_of_no_values_is_not_measured(tmp_path: Path) -> None:
    line = stylegan_line(4.0, 1.3)
    line["Loss/G/loss"] = {"num": 0, "mean": float("nan"), "std": float("nan")}
    path = tmp_path / "stats.jsonl"
    path.write_text(json.dumps(line) + "\n")
    assert diagnose(path).verdict is None
    line["Loss/G/loss"]["num"] = 64
    sound = [stylegan_line(kimg, 1.3) for kimg in (0.0, 1.0, 2.0, 2.5, 3.0)]
    path.write_text("".join(json.dumps(one) + "\n" for one in [*sound, line]))
    assert diagnose(path).kind == "diverged"


@pytest.mark.parametrize("name", ["fid50k_full", "fid50k"])
def test_fid_in_a_file_beside_the_log_is_joined_at_its_snapshot(name: str, tmp_path: Path) -> None:
    path = write_stylegan(tmp_path)
    lines = [metric(0, 300.0, name), metric(80, 20.0, name), metric(152, 25.0, name)]
    torn = '{"results": {"fid'
    none: dict[str, object] = {"results": {name: 1.0}, "snapshot_pkl": None}
    (tmp_path / f"metric-{name}.jsonl").write_text(as_lines([*lines, none]) + torn)
    found = diagnose(path)
    assert found.best == pytest.approx(80.032)
    assert found.best_score and (found.best_score.name, found.best_score.value) == ("fid", 20.0)
    assert found.records == 40
    assert f"3 FIDs read from metric-{name}.jsonl" in found.notes
