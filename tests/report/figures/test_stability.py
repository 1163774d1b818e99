"""The maps of stable and unstable trials."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.report.figures.stability import (
    common_extras,
    extras,
    mapped_losses,
    shown_extras,
    stability_map,
)
from gantune.report.page.sections import stability
from gantune.report.run_data import RunData
from tests.report.factory import outcome, state, trial
from tests.report.page.reading import words

LRS = {"generator.lr": 1e-4, "discriminator.lr": 1e-4}


def run_of(configs: Sequence[dict[str, Any]]) -> RunData:
    run = RunData(state([trial(n, outcome("completed", value=9.0)) for n in range(len(configs))]))
    run.__dict__["hyperparameters"] = {n: LRS | config for n, config in enumerate(configs)}
    run.__dict__["curves"] = {}
    return run


def points(figure: Any) -> list[tuple[float, float]]:
    found = [t for t in figure.data if t.name == "completed"]
    return [(x, y) for t in found for x, y in zip(t.x, t.y, strict=True)]


@pytest.mark.parametrize(
    ("losses", "mapped"),
    [
        (["hinge", "hinge", "wgan"], ["hinge"]),
        (["hinge", "wgan"], []),
        (["hinge", "wgan", "wgan", "hinge", "hinge"], ["hinge", "wgan"]),
        ([None, None], [None]),
        ([None], []),
        ([], []),
    ],
)
def test_a_loss_with_one_trial_has_no_map(
    losses: list[str | None], mapped: list[str | None]
) -> None:
    run = run_of([{} if loss is None else {"loss": loss} for loss in losses])
    assert mapped_losses(run) == mapped


def test_the_page_names_losses_without_a_map() -> None:
    run = run_of([{"loss": loss} for loss in ("hinge", "hinge", "wgan", "lsgan")])
    found = stability(run)
    assert found is not None and [drawing.title for drawing in found.drawings] == ["hinge"]
    assert "No map of lsgan, wgan: one trial each." in words(str(found.body))


@given(st.integers(2, 12), st.booleans())
def test_equal_points_are_moved_apart_and_others_stay(count: int, is_wide: bool) -> None:
    other = {"generator.lr": 1e-2 if is_wide else 2e-4, "discriminator.lr": 3e-4}
    figure = stability_map(run_of([{}] * count + [other]))
    found = points(figure)
    assert len(set(found)) == count + 1
    assert found[-1] == (other["generator.lr"], other["discriminator.lr"])
    for x, y in found[:count]:
        assert math.isclose(x, 1e-4, rel_tol=0.1) and math.isclose(y, 1e-4, rel_tol=0.1)
    for place, axis in enumerate((figure.layout.xaxis, figure.layout.yaxis)):
        ends = [math.log10(one[place]) if axis.type == "log" else one[place] for one in found]
        low, high = axis.range
        room = 0.04 * (high - low)  # half of a mark
        assert low + room <= min(ends) and max(ends) <= high - room


@pytest.mark.parametrize(
    ("config", "found"),
    [
        ({"discriminator.norm": "none", "penalties.r1": None}, {}),
        ({"discriminator.norm": "spectral"}, {"norm": "spectral"}),
        ({"penalties.gradient_penalty.weight": 10.0}, {"penalty": "gradient_penalty"}),
        ({"penalties.r1.weight": 0.0, "penalties.r1.interval": 16}, {}),
        (
            {
                "discriminator.norm": "batch",
                "penalties.weight_clip.limit": 0.01,
                "penalties.r1.weight": 1.0,
            },
            {"norm": "batch", "penalty": "r1, weight_clip"},
        ),
    ],
)
def test_norm_and_penalty_of_a_trial(config: dict[str, Any], found: dict[str, str]) -> None:
    run = run_of([config])
    assert extras(run, run.state.trials[0]) == found


def test_norm_and_penalty_are_marks_where_trials_differ_in_them() -> None:
    spectral, r1 = {"discriminator.norm": "spectral"}, {"penalties.r1.weight": 1.0}
    run = run_of([spectral, {"discriminator.lr": 2e-4}, {**r1, "generator.lr": 2e-4}])
    assert shown_extras(run, None) == ["norm", "penalty"] and common_extras(run, None) == []
    marks = {trace.name: trace for trace in stability_map(run).data}
    assert len(marks["with a norm"].x) == len(marks["with a penalty"].x) == 1
    assert "norm: spectral" in marks["completed"].text[0]
    alike = run_of([{**spectral, "discriminator.lr": 2e-4}, spectral])
    assert shown_extras(alike, None) == [] and common_extras(alike, None) == ["norm"]
    found = stability(alike)
    assert found is not None and found.drawings[0].title == "all with a norm"
    assert "square" not in str(found.body)
