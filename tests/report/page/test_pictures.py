"""Small pictures: few bytes, sharp pixels, and the last ones where not all fit."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gantune.gan.sampling import save_grid
from gantune.report.page import pictures as module
from gantune.report.page.pictures import shrink_grid, small_columns, thumbnails
from tests.report.factory import outcome, trial
from tests.report.pages import canned_run, make_run


def _opened(picture: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(picture)))


@pytest.mark.parametrize(("side", "kept"), [(8, 8), (16, 8), (32, 8), (64, 4), (128, 4)])
def test_a_small_grid_has_the_images_own_pixels(tmp_path: Path, side: int, kept: int) -> None:
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (64, 1, side, side)))
    save_grid(images.to(torch.uint8), tmp_path / "grid.png")
    small = shrink_grid(Image.open(tmp_path / "grid.png").convert("RGB"), side)
    assert small_columns(side) == kept  # the wall enlarges by it
    assert small.size == (kept * (side + 1), kept * (side + 1))
    assert (np.asarray(small)[:side, :side, 0] == images[0, 0].numpy()).all()
    second = np.asarray(small)[side + 1 : 2 * side + 1, :side, 0]
    assert (second == images[8, 0].numpy()).all()  # the grid's second row has 8 before it


def test_all_pictures_of_a_small_search_are_kept(tmp_path: Path) -> None:
    run = canned_run(tmp_path)
    found = thumbnails(run, ["trials/0003"])
    assert [kimg for kimg, _ in found["trials/0003"]] == [10, 20, 30, 40]
    assert _opened(found["trials/0003"][0][1]).size == (264, 264)
    assert "trials/0011" not in found


def test_a_noisy_picture_shrinks_until_it_fits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path, [trial(0, outcome("completed", value=9.0))])
    noise = torch.randint(0, 256, (64, 1, 32, 32), dtype=torch.uint8)
    save_grid(noise, run.folder.trial("trials/0000").grid(40.0))
    monkeypatch.setattr(module, "_LARGEST", 3000)
    ((_, picture),) = thumbnails(run, [])["trials/0000"]
    assert len(picture) * 3 // 4 < 4000


def test_with_many_trials_the_last_picture_stays_and_the_best_keep_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = canned_run(tmp_path)
    monkeypatch.setattr(module, "_MOST_PICTURES", 17)
    found = thumbnails(run, ["trials/0003"])
    assert len(found["trials/0003"]) == 4
    assert [kimg for kimg, _ in found["trials/0000"]] == [40]
