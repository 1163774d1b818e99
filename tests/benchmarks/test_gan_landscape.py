"""The searches of one loss each, and a table in which nothing is mixed."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.gan_landscape import PUBLISHED, Budget, Row, main, overrides, report
from gantune.space import load_space

BUDGET = Budget(trials=12, kimg=20.0, epochs=1 / 3, width=16)
ROW = Row("wgan", 140.26, "p1", "classifier", 12, {"completed": 9, "diverged": 3}, 61.0, {})


@pytest.mark.parametrize("loss", PUBLISHED)
def test_a_search_of_one_loss_begins_with_its_authors_settings(loss: str) -> None:
    space = load_space("gan_landscape", overrides(loss, BUDGET))
    assert len(space.start_points()) == 1
    assert space.values_at("network.width") == [16]
    assert (space.sampler.name, space.pruning.rule, space.finalists.top) == ("random", "none", 0)
    whole = load_space("gan_landscape").parameters()
    assert space.parameters().items() <= (whole | {"loss": space.parameters()["loss"]}).items()


def test_both_figures_stand_beside_their_extractors() -> None:
    text = report([ROW], BUDGET, "fashion_mnist, 60,000 images", "some machine")
    line = (
        "| wgan | 21.5 | Inception, TensorFlow | 140.3 | classifier | 12 | 9 completed, 3 diverged"
    )
    assert line in text
    assert "20 kimg a setting (0.33 epochs), width 16" in text
    assert "protocol `p1`" in text


def test_a_loss_without_a_published_figure_or_without_a_score_says_so() -> None:
    rows = [replace(ROW, loss="hinge"), replace(ROW, best=None)]
    text = report(rows, BUDGET, "fashion_mnist", "some machine")
    assert "| hinge | none |  | 140.3 |" in text
    assert "| wgan | 21.5 | Inception, TensorFlow | none |" in text


def test_scores_of_two_protocols_are_never_mixed() -> None:
    with pytest.raises(ValueError, match="2 protocols"):
        report([ROW, replace(ROW, protocol="p2")], BUDGET, "fashion_mnist", "some machine")


@pytest.mark.slow
def test_the_script_searches_each_loss(tmp_path: Path) -> None:
    arguments = ["--data", "digits", "--losses", "vanilla,wgan", "--trials", "2", "--kimg", "0.2"]
    arguments += ["--width", "4", "--out", str(tmp_path / "runs"), "--device", "cpu"]
    main([*arguments, "--results", str(tmp_path), "--page", str(tmp_path / "none.md")])
    text = (tmp_path / "gan_landscape_cpu.md").read_text()
    assert text.count("classifier-digits") == 2
    assert "digits, 1,797 images" in text
