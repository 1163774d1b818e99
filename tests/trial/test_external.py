"""A run of a user's trainer that draws from the global random numbers, as most trainers do."""

import shutil
from pathlib import Path

import pytest
import torch
from torch import Tensor

from tests.trial.runs import AnyRun, digits, make_evaluator


@pytest.fixture
def run(tmp_path: Path) -> AnyRun:
    images = digits()
    evaluator = make_evaluator(images, tmp_path / "extractor", "random", rung_samples=80)
    return AnyRun("images", tmp_path / "run", evaluator, images)


def noise(count: int) -> Tensor:
    return torch.rand(count, 1, 16, 16) * 2 - 1


def test_grids_of_all_rungs_are_drawn_from_the_same_numbers(run: AnyRun) -> None:
    run.draw = lambda kimg, count, generator: noise(count)
    assert run.train().ending == "completed"
    grids = [path.read_bytes() for path in run.folder.grids().values()]
    assert len(grids) == 3 and len(set(grids)) == 1


def test_score_is_kept_when_the_grid_has_non_finite_samples(run: AnyRun) -> None:
    """64 images are drawn for a grid, and other numbers of images for scores."""
    bad = {64: float("nan")}
    run.draw = lambda kimg, count, generator: noise(count) + bad.get(count, 0.0)
    outcome = run.train()
    assert outcome.ending == "completed" and outcome.score is not None
    assert not run.folder.grids() and not run.folder.neighbours.exists()


def test_floats_in_the_unit_range_are_asked_about_once_and_scored_as_bytes(
    run: AnyRun, caplog: pytest.LogCaptureFixture
) -> None:
    def unit(kimg: float, count: int, generator: torch.Generator) -> Tensor:
        return torch.rand(count, 1, 16, 16, generator=generator)

    run.draw = unit
    floats = run.train().score
    assert caplog.text.count("Then say value_range=(0, 1), else (-1, 1)") == 1
    shutil.rmtree(run.folder.path)
    run.folder.path.mkdir()
    run.draw = lambda *given: unit(*given).mul(255).round().byte()
    whole = run.train().score
    assert floats is not None and whole is not None and floats.value == whole.value
    assert caplog.text.count("value_range") == 1


def test_a_collapse_to_bright_images_is_read_as_the_rungs_before(
    run: AnyRun, caplog: pytest.LogCaptureFixture
) -> None:
    run.draw = lambda kimg, count, generator: noise(count).abs() if kimg > 0.5 else noise(count)
    assert run.train().ending == "completed"
    assert "value_range" not in caplog.text
