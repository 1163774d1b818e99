"""Advice on configs that are rarely intended."""

from __future__ import annotations

from typing import Any

import pytest

from gantune.config import (
    advice,
    make_config,
)


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"penalties": {"weight_clip": {}}, "discriminator": {"norm": "spectral"}}, "rescales"),
        ({"penalties": {"weight_clip": {}}}, "made for loss wgan"),
        ({"loss": "wgan"}, "nothing bounds the critic"),
        (
            {"penalties": {"r1": {}}, "discriminator": {"norm": "batch"}},
            "which batch norm mixes",
        ),
        ({"penalties": {"r1": {}, "r1_r2": {}}}, "penalised twice"),
        ({"accumulation": 2}, "statistics are those of a part"),
        ({"accumulation": 2, "generator": {"norm": "spectral"}}, "statistics are those of a part"),
    ],
)
def test_rarely_intended_combinations_have_advice(tree: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in advice(make_config(tree)))


@pytest.mark.parametrize(
    "tree", [{}, {"accumulation": 2, "generator": {"norm": "none"}}, {"penalties": {"r1": {}}}]
)
def test_usual_configs_have_no_advice(tree: dict[str, Any]) -> None:
    assert list(advice(make_config(tree))) == []
