"""Scores grow with damage, name lost classes, are reproducible and always finite."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path
from typing import Literal, cast

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from gantune.config.extractor import ScoreDtype
from gantune.data import ImageSet
from gantune.data.cache import content_hash
from gantune.errors import ScoreError
from gantune.gan.precision import float32_computed
from gantune.scores import (
    Evaluator,
    RealImages,
    Score,
    feature_statistics,
    make_protocols,
    missing_classes,
    resolve_extractor,
)
from gantune.scores.extractors.classifier import Classifier
from gantune.trial.scoring import make_evaluator
from tests.examples import in_integration
from tests.scores.conftest import evaluator, made_up, shown


@pytest.fixture(scope="module", params=["classifier", *in_integration("random")])
def judge(
    request: pytest.FixtureRequest, learned: ImageSet, tmp_path_factory: pytest.TempPathFactory
) -> Evaluator:
    return evaluator(learned, tmp_path_factory.mktemp("run"), request.param)


@pytest.fixture(scope="module")
def unseen(others: ImageSet) -> torch.Tensor:
    return torch.tensor(others.array)


def noisy(images: torch.Tensor, amount: float) -> torch.Tensor:
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    return (images + amount * noise).clamp(0, 255).byte()


def blurred(images: torch.Tensor, width: int) -> torch.Tensor:
    padded = F.pad(images.float(), (width // 2,) * 4, mode="replicate")
    return F.avg_pool2d(padded, width, stride=1).round().byte()


def test_unseen_real_images_score_best_and_noise_worsens(
    judge: Evaluator, unseen: torch.Tensor
) -> None:
    scores = [judge.score(shown(noisy(unseen, amount))) for amount in (0, 20, 60, 120)]
    values = [score.value for score in scores]
    assert values == sorted(values)
    assert values[3] > 10 * values[0]
    precisions = [score.precision for score in scores if score is not scores[1]]
    assert precisions == sorted(precisions, reverse=True)
    assert precisions[2] < 0.5 * precisions[0]


def test_the_order_of_the_real_images_does_not_matter(digits: ImageSet, tmp_path: Path) -> None:
    """Classes that take turns: at even distances, all images of a subset were of one class."""
    labels = digits.labels
    assert labels is not None
    places = np.stack([np.flatnonzero(labels == digit)[:150] for digit in range(10)], axis=1)
    in_turns, unseen = places[:100].flatten(), places[100:110].flatten()
    scores = []
    for order in (in_turns, np.sort(in_turns), in_turns[np.argsort(labels[in_turns])]):
        real = replace(digits, array=digits.array[order], labels=labels[order])
        real = replace(real, content_hash=content_hash(real.array, real.labels))
        extractor = resolve_extractor("auto", real, tmp_path)
        protocols = make_protocols(extractor, RealImages(real), rung_samples=100, samples=100)
        judge = Evaluator(extractor, RealImages(real), protocols, torch.device("cpu"))
        scores.append(judge.score(shown(torch.tensor(digits.array[unseen]))))
    # Random subsets of this size give 0.79 to 0.89 and 0.76 to 0.92; even distances 0.09 and 0.33.
    for score in scores:
        assert score.precision > 0.65 and score.coverage > 0.65
        assert abs(score.kid) < 3 * score.kid_error


def test_blur_worsens(judge: Evaluator, unseen: torch.Tensor) -> None:
    values = [judge.score(shown(blurred(unseen, width))).value for width in (1, 3, 5, 9)]
    assert values == sorted(values)
    assert values[3] > 10 * values[0]


def test_dropped_classes_worsen_and_lower_recall_and_leave_precision(
    judge: Evaluator, unseen: torch.Tensor, others: ImageSet
) -> None:
    kept = [unseen[torch.tensor(others.labels >= dropped)] for dropped in (0, 1, 2, 4, 6, 9)]
    scores = [judge.score(shown(images)) for images in kept]
    values = [score.value for score in scores]
    assert values == sorted(values)
    assert values[5] > 5 * values[0]
    few = [scores[0], *scores[2:5]]
    recalls = [score.recall for score in few]
    assert recalls == sorted(recalls, reverse=True)
    assert recalls[3] < 0.7 * recalls[0]
    coverages = [score.coverage for score in few]
    assert coverages == sorted(coverages, reverse=True)
    # The classes differ in how hard they are, so it stays nearly, not quite.
    assert min(score.precision for score in few) > few[0].precision - 0.1


def test_repeated_images_worsen(judge: Evaluator, unseen: torch.Tensor) -> None:
    values = [judge.score(shown(unseen[:count])).value for count in (897, 50, 5, 1)]
    assert values == sorted(values)


def test_spread_is_one_for_real_images_and_zero_for_a_single_one(
    judge: Evaluator, unseen: torch.Tensor
) -> None:
    assert judge.score(shown(unseen)).spread == pytest.approx(1, abs=0.05)
    assert judge.score(shown(unseen[:1])).spread == pytest.approx(0, abs=1e-3)


def test_class_shares_name_the_lost_class(
    learned: ImageSet, others: ImageSet, tmp_path: Path
) -> None:
    judge = evaluator(learned, tmp_path)
    score = judge.score(shown(torch.tensor(others.array[others.labels != 3])))
    assert list(score.classes or {}) == list("0123456789")
    assert sum((score.classes or {}).values()) == pytest.approx(1)
    assert (score.real_classes or {})["3"] == pytest.approx(0.1, abs=0.02)
    assert missing_classes(score) == ["3"]
    assert not missing_classes(judge.score(shown(torch.tensor(others.array))))


@pytest.mark.parametrize("dtype", ["float32", "tf32", "bfloat16"])
def test_rungs_are_scored_in_the_number_format_of_their_protocol(
    dtype: ScoreDtype,
    learned: ImageSet,
    unseen: torch.Tensor,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    computed: set[str] = set()

    def noted(on_gpus: Literal["ieee", "tf32"]) -> AbstractContextManager[None]:
        computed.add(on_gpus)
        return float32_computed(on_gpus)

    monkeypatch.setattr(feature_statistics, "float32_computed", noted)
    extractor, real = resolve_extractor("classifier", learned, tmp_path), RealImages(learned)
    seen: list[torch.dtype] = []
    network = cast(Classifier, extractor.module)
    network.hidden.register_forward_hook(lambda *found: seen.append(found[2].dtype))
    full, other = (
        Evaluator(
            extractor,
            real,
            make_protocols(extractor, real, rung_samples=200, samples=200, rung_dtype=one),
        )
        for one in ("float32", dtype)
    )
    seen.clear()
    exact, score = (one.score(shown(noisy(unseen, 30))) for one in (full, other))
    assert set(seen) == {torch.float32, getattr(torch, dtype, torch.float32)}
    assert exact.error is not None
    assert abs(score.value - exact.value) < 0.1 * exact.error
    assert (score.value == exact.value) == (dtype != "bfloat16")
    assert (score.protocol.hash == exact.protocol.hash) == (dtype == "float32")
    assert ("tf32" in computed) == (dtype == "tf32")
    assert exact.classes == score.classes  # they are told in float32
    computed.clear()
    seen.clear()
    assert other.score(shown(unseen), full=True) == full.score(shown(unseen), full=True)
    assert set(seen) == {torch.float32} and computed == {"ieee"}


def test_an_extractor_that_cannot_compute_in_the_format_of_rungs_is_named(
    learned: ImageSet, tmp_path: Path
) -> None:
    extractor, real = resolve_extractor("classifier", learned, tmp_path), RealImages(learned)
    network = cast(Classifier, extractor.module)

    def to_numpy(module: object, given: object, made: torch.Tensor) -> None:
        made.numpy()  # which knows no bfloat16

    network.hidden.register_forward_hook(to_numpy)
    protocols = make_protocols(extractor, real, rung_samples=20, samples=20, rung_dtype="bfloat16")
    with pytest.raises(
        ScoreError, match=r"objective\.rung_precision: extractor classifier.* cannot compute in bf"
    ):
        make_evaluator(extractor, real, protocols, "cpu")


def test_random_features_know_no_classes(tmp_path: Path) -> None:
    images = made_up()
    score = evaluator(images, tmp_path, samples=60).score(shown(torch.tensor(images.array)))
    assert score.classes is None and score.real_classes is None


def test_the_score_says_how_it_was_taken(learned: ImageSet, tmp_path: Path) -> None:
    extractor = resolve_extractor("auto", learned, tmp_path)
    protocols = make_protocols(extractor, RealImages(learned), rung_samples=30, samples=40)
    judge = Evaluator(extractor, RealImages(learned), protocols)
    sample = shown(torch.tensor(learned.array))
    rung, full = judge.score(sample), judge.score(sample, full=True)
    assert (rung.name, full.name) == ("fid[classifier-digits]",) * 2
    assert (rung.generated, full.generated) == (30, 40)
    assert (rung.protocol, full.protocol) == (protocols.rung, protocols.full)
    assert Score.from_dict(rung.to_dict()) == rung


def test_each_protocol_draws_its_own_latents_and_the_same_ones_again(tmp_path: Path) -> None:
    images = made_up(side=16)
    judge = evaluator(images, tmp_path, samples=300)
    drawn: list[torch.Tensor] = []

    def sample(number: int, generator: torch.Generator) -> torch.Tensor:
        assert not torch.is_inference_mode_enabled()  # what the trainer makes must be trainable
        drawn.append(torch.rand(number, generator=generator))
        return (drawn[-1] * 255).byte().view(-1, 1, 1, 1).expand(-1, 1, 16, 16)

    first, again = judge.score(sample), judge.score(sample)
    assert first == again
    assert sum(len(part) for part in drawn) == 600
    assert torch.equal(torch.cat(drawn)[:300], torch.cat(drawn)[300:])
    other = judge.score(sample, full=True)
    assert not torch.equal(torch.cat(drawn)[:300], torch.cat(drawn)[600:])
    assert other.value != first.value


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(2, 1, 16, 16),
        torch.zeros(2, 3, 16, 16, dtype=torch.uint8),
        torch.zeros(2, 1, 32, 32, dtype=torch.uint8),
        torch.zeros(1, 1, 16, 16, dtype=torch.uint8),
    ],
    ids=["dtype", "channels", "resolution", "count"],
)
def test_other_samples_than_asked_for_are_refused(bad: torch.Tensor, tmp_path: Path) -> None:
    judge = evaluator(made_up(side=16), tmp_path, samples=2)
    with pytest.raises(ScoreError, match=r"sample\(2\) returned .* was requested"):
        judge.score(lambda number, generator: bad)


def test_non_finite_points_give_an_error_and_no_number(tmp_path: Path) -> None:
    from gantune.config import DataConfig
    from gantune.data import load_images

    points = load_images(DataConfig(source="gaussians:ring"))
    judge = evaluator(points, tmp_path, samples=10)
    for value in (float("nan"), float("inf"), 3e38):
        broken = torch.full((10, 2), value)
        with pytest.raises(ScoreError, match=r"generated samples: features are not finite"):
            judge.score(shown(broken))


def test_features_too_large_to_be_multiplied_give_an_error_and_no_number(tmp_path: Path) -> None:
    from gantune.config import DataConfig
    from gantune.data import load_images

    points = load_images(DataConfig(source="gaussians:ring"))
    judge = evaluator(points, tmp_path, samples=10)
    far = 1e28 * torch.rand(10, 2, generator=torch.Generator().manual_seed(0))
    message = r"^fid\[points-fourier\]: kid_error is not finite, so there is no score"
    with pytest.raises(ScoreError, match=message):
        judge.score(shown(far))
    assert math.isfinite(judge.score(shown(far / 1e12)).kid_error)


def test_constant_images_still_give_a_number(tmp_path: Path) -> None:
    images = made_up(side=16)
    judge = evaluator(images, tmp_path, samples=20)
    score = judge.score(shown(torch.zeros(1, 1, 16, 16, dtype=torch.uint8)))
    assert score.value > 0
    assert score.spread == pytest.approx(0, abs=1e-4)
