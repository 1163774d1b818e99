"""Which recipes are trained, what is trained again, and what the table says of it."""

from __future__ import annotations

import multiprocessing
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from benchmarks.recipes import (
    RECIPES,
    Row,
    Training,
    earlier_rows,
    main,
    recipe_config,
    report,
    train,
    trainings,
)
from gantune.space import load_space

ROW = Row(
    recipe="dcgan",
    seed=0,
    key="abc",
    network="dcgan 16",
    loss="vanilla",
    protocol="p1",
    extractor="classifier-digits",
    real=1797,
    ending="completed",
    kimg=25.0,
    step=391,
    seconds=10.0,
    fid=240.4,
    machine="some machine",
)


@pytest.mark.integration
def test_every_start_entry_is_trained_with_every_seed_and_no_longer_than_in_its_space() -> None:
    made = trainings(RECIPES, seeds=2, kimg=15)
    spaces = {name: load_space(name) for name in RECIPES}
    assert len(made) == len(set(made)) == 2 * sum(len(s.start_points()) for s in spaces.values())
    assert {"wgan", "wgan (2)"} <= {training.name for training in made}
    assert [training.seed for training in made] == sorted(training.seed for training in made)
    kimg = {training.space: training.kimg for training in made}
    assert kimg["dcgan"] == 15
    assert kimg["r3gan"] == spaces["r3gan"].first_config().kimg < 15
    assert kimg["mixture2d"] == spaces["mixture2d"].first_config().kimg > 15


def test_a_config_is_the_start_entry_except_length_and_seed() -> None:
    space = load_space("wgan")
    config = recipe_config(Training("wgan", 1, seed=7, kimg=3.0))
    assert (config.seed, config.kimg) == (7, 3.0)
    own = space.configs_of(space.start_points()[1])
    assert config == own.model_copy(update={"seed": 7, "kimg": 3.0})


@pytest.mark.integration
def test_a_row_is_scored_and_not_measured_twice() -> None:
    training = Training("dcgan", 0, seed=0, kimg=0.1)
    row = train(training, "cpu", "here", frozenset())
    assert isinstance(row, Row)
    assert (row.recipe, row.ending, row.step, row.kimg) == ("dcgan", "completed", 2, 0.1)
    assert (row.extractor, row.real) == ("classifier-digits", 1797)
    assert row.fid is not None
    assert row.fid > 0
    assert row.dtype in ("float32", "bfloat16")
    assert train(training, "cpu", "here", frozenset({row.fingerprint})) == row.fingerprint
    elsewhere = train(training, "cpu", "there", frozenset({row.fingerprint}))
    assert isinstance(elsewhere, Row)
    assert elsewhere.key == row.key
    again = train(replace(training, seed=1), "cpu", "here", frozenset({row.fingerprint}))
    assert isinstance(again, Row)
    assert again.key != row.key
    assert again.protocol == row.protocol


def test_a_recipe_has_one_line_with_its_best_and_its_worst() -> None:
    rows = [ROW, replace(ROW, seed=1, fid=300.0, seconds=13.0), replace(ROW, seed=2, fid=250.0)]
    line = "| dcgan | vanilla | dcgan 16 | 25 | 391 | 240.4 | 300.0 | 11 | 3 completed |"
    assert line in report(rows)


def test_a_recipe_with_a_failed_run_has_no_worst_score() -> None:
    broken = replace(ROW, seed=1, fid=None, ending="collapsed", kimg=9.0)
    text = report([ROW, broken])
    assert "| 240.4 | none | 10 | 1 completed, 1 collapsed at 9 kimg |" in text
    assert "| none | none |" in report([broken])


def test_every_protocol_has_its_own_table() -> None:
    points = replace(ROW, recipe="mixture2d", protocol="p2", extractor="points-fourier")
    text = report([ROW, points])
    assert text.count("| recipe |") == 2
    assert "| best fid[classifier-digits] | worst fid[classifier-digits] |" in text
    assert "| best fid[points-fourier] | worst fid[points-fourier] |" in text
    assert "FID" not in text
    images = "of 2,000 generated and 1,797 real images"
    assert f"`fid[classifier-digits]` {images}; protocol `p1`" in text
    assert f"`fid[points-fourier]` {images}; protocol `p2`" in text


def test_rows_of_an_older_file_have_its_machine() -> None:
    old = {key: value for key, value in asdict(ROW).items() if key not in ("machine", "dtype")}
    assert earlier_rows({"machine": "some machine", "rows": [old]}) == [ROW]
    assert earlier_rows({"rows": [asdict(ROW)]}) == [ROW]
    assert earlier_rows({}) == []


@pytest.mark.integration
def test_the_script_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not torch.cuda.is_available():  # which forbids to fork; a fork has imported everything
        fork = multiprocessing.get_context("fork")
        monkeypatch.setattr(multiprocessing, "get_context", lambda kind: fork)
    arguments = ["--recipes", "dcgan,wgan", "--kimg", "0.1", "--processes", "1"]
    arguments += ["--results", str(tmp_path), "--page", str(tmp_path / "none.md")]
    main([*arguments, "--seeds", "1"])
    assert capsys.readouterr().out.count("seed 0:") == 3
    main([*arguments, "--seeds", "2"])
    out = capsys.readouterr().out
    assert (out.count("seed 0:"), out.count("seed 1:")) == (0, 3)
    assert (tmp_path / "recipes_cpu.md").read_text().count("2 completed") == 3
    main([*arguments, "--seeds", "1"])
    assert capsys.readouterr().out.count("seed ") == 0
    assert (tmp_path / "recipes_cpu.md").read_text().count("1 completed") == 3
