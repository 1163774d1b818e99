"""What counts as a mode found, and which settings are measured."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.gaussians import NEAR, Coverage, Row, coverage, grid_settings, report
from gantune.data.sources.builtin import gaussian_modes, load_gaussians

MODES = gaussian_modes("gaussians:grid")


def test_the_real_points_cover_every_mode() -> None:
    found = coverage(load_gaussians("gaussians:grid").array.astype(np.float64), MODES)
    assert found.modes == 25
    assert found.near == pytest.approx(1 - np.exp(-8), abs=2e-4)  # a Rayleigh tail beyond 4
    assert found.rarest == pytest.approx(1 / 25, abs=2e-4)


def test_a_sample_beyond_four_deviations_finds_no_mode() -> None:
    step = np.array([1.0, 0.0])
    inside, outside = MODES[0] + 0.99 * NEAR * step, MODES[1] + 1.01 * NEAR * step
    assert coverage(np.stack([inside, outside]), MODES) == Coverage(1, 0.5, 0.0)


def test_one_sample_finds_a_mode() -> None:
    points = np.concatenate([np.repeat(MODES[:1], 99, axis=0), MODES[1:2]])
    assert coverage(points, MODES) == Coverage(2, 1.0, 0.0)
    assert coverage(points, MODES[:2]) == Coverage(2, 1.0, 0.01)


def test_the_settings_are_those_of_the_space() -> None:
    settings = grid_settings()
    assert list(settings) == [
        "hinge, r1, betas 0 and 0.9",
        "relativistic, r1_r2, betas 0 and 0.9",
        "minimax, no penalty, betas 0 and 0.9",
        "minimax, no penalty, betas 0.9 and 0.999",
    ]
    hinge, relativistic, minimax, _ = settings.values()
    left_out = {"loss", "penalties"}
    assert hinge.model_dump(exclude=left_out) == relativistic.model_dump(exclude=left_out)
    assert hinge.model_dump(exclude=left_out) == minimax.model_dump(exclude=left_out)


def test_a_line_has_every_seed_of_a_setting() -> None:
    rows = [
        Row("one", seed, Coverage(25 - seed, 0.9 + seed / 100, 0.03), 1200.0, 20.0 + seed)
        for seed in range(3)
    ]
    text = report(rows, "some machine")
    assert (
        "| one | 25 / 24 / 23 | 90.0% / 91.0% / 92.0% | 3.0% / 3.0% / 3.0% | 1,200 | 22 |" in text
    )
    assert "seeds 0, 1, 2" in text
    assert "some machine" in text
