"""The searches of one loss each, and a table in which nothing is mixed."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pytest

from benchmarks.gan_landscape import (
    PUBLISHED,
    Budget,
    Data,
    Row,
    earlier_rows,
    main,
    overrides,
    report,
)
from gantune.data import ImageSet
from gantune.space import load_space

BUDGET = Budget(trials=12, kimg=20.0, epochs=1 / 3, width=16)
FASHION = Data("fashion_mnist", 60_000, True)
ENDINGS = {"completed": 9, "diverged": 3}
ROW = Row("wgan", 140.26, "p1", "classifier", 12, ENDINGS, 61.0, {}, "some machine")


@pytest.mark.parametrize("loss", PUBLISHED)
def test_a_search_of_one_loss_starts_with_its_authors_settings(loss: str) -> None:
    space = load_space("gan_landscape", overrides(loss, BUDGET))
    assert len(space.start_points()) == 1
    assert space.values_at("network.width") == [16]
    assert (space.sampler.name, space.pruning.rule, space.finalists.top) == ("random", "none", 0)
    whole = load_space("gan_landscape").parameters()
    assert space.parameters().items() <= (whole | {"loss": space.parameters()["loss"]}).items()


def test_both_figures_have_their_extractors() -> None:
    text = report([ROW], BUDGET, FASHION)
    line = (
        "| wgan | 21.5 | Inception, TensorFlow | 140.3 | classifier | 12 | 9 completed, 3 diverged"
    )
    assert line in text
    assert "| published FID | its extractor | our best fid[classifier] | our extractor |" in text
    assert "fashion_mnist, 60,000 images, 20 kimg a setting (0.33 epochs), width 16" in text
    assert "protocol `p1`" in text


def test_a_loss_without_a_published_figure_or_without_a_score_says_so() -> None:
    text = report([replace(ROW, loss="hinge"), replace(ROW, best=None)], BUDGET, FASHION)
    assert "| hinge | none |  | 140.3 |" in text
    assert "| wgan | 21.5 | Inception, TensorFlow | none |" in text


def test_other_data_have_no_published_figure() -> None:
    text = report([ROW], BUDGET, Data("digits", 1797, False))
    assert "| wgan | none |  | 140.3 |" in text
    assert "21.5" not in text
    assert "Lucic" not in text


@pytest.mark.parametrize(
    ("source", "count", "split", "is_fashion"),
    [
        ("data/fashion_mnist", 60_000, "train", True),
        ("data/Fashion-MNIST", 60_000, "train", True),
        ("data/mnist", 60_000, "train", False),
        ("data/fashion_mnist", 10_000, "train", False),
        ("data/fashion_mnist", 60_000, "test", False),
    ],
)
def test_fashion_mnist_is_recognised_by_its_folder_and_its_shape(
    source: str, count: int, split: str, is_fashion: bool
) -> None:
    array = np.broadcast_to(np.uint8(0), (count, 1, 28, 28))
    assert Data.of(ImageSet(array, source, "", split=split)).is_fashion == is_fashion


def test_scores_of_two_protocols_are_never_mixed() -> None:
    with pytest.raises(ValueError, match="2 protocols"):
        report([ROW, replace(ROW, protocol="p2")], BUDGET, FASHION)


def test_earlier_rows_have_the_same_budget_data_and_protocol() -> None:
    tree = {"budget": asdict(BUDGET), "data": asdict(FASHION), "rows": [asdict(ROW)]}
    tree = json.loads(json.dumps(tree))
    assert earlier_rows(tree, BUDGET, FASHION, "p1") == [ROW]
    assert earlier_rows(tree, BUDGET, FASHION, "p2") == []
    assert earlier_rows(tree, replace(BUDGET, kimg=21.0), FASHION, "p1") == []
    assert earlier_rows(tree, BUDGET, replace(FASHION, images=1), "p1") == []
    assert earlier_rows({}, BUDGET, FASHION, "p1") == []


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_the_script_searches_each_loss_and_keeps_the_others(tmp_path: Path) -> None:
    arguments = ["--data", "digits", "--trials", "2", "--kimg", "0.2", "--width", "4"]
    arguments += ["--device", "cpu", "--workers", "1", "--out", str(tmp_path / "runs")]
    arguments += ["--results", str(tmp_path), "--page", str(tmp_path / "none.md")]
    main([*arguments, "--losses", "vanilla,wgan"])
    text = (tmp_path / "gan_landscape_cpu.md").read_text()
    assert text.count("classifier-digits") == 3
    assert "digits, 1,797 images" in text
    assert "1 process of " in text
    main([*arguments, "--losses", "minimax"])
    names = [
        row["loss"] for row in json.loads((tmp_path / "gan_landscape_cpu.json").read_text())["rows"]
    ]
    assert names == ["minimax", "vanilla", "wgan"]
    info = tmp_path / "runs" / "wgan" / "run.json"
    info.write_text(info.read_text().replace('"generated": ', '"generated": 1'))
    with pytest.raises(ValueError, match="another protocol"):
        main([*arguments, "--losses", "vanilla,wgan"])
