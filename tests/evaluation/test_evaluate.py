"""``gantune.evaluate``: samples of any model, and checkpoints as they were scored at home."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

import gantune
from gantune.config import DataConfig, make_config
from gantune.data import load_images
from gantune.data.image_set import random_subset
from gantune.errors import ConfigError, DataError, MissingSourceError, ScoreError
from gantune.evaluation.evaluate import evaluate_all, open_samples
from gantune.evaluation.request import EvaluationRequest
from gantune.events import Observer
from gantune.run_folder.trial import TrialFolder
from gantune.scores import ExtractorChoice, Score, resolve_extractor
from gantune.scores.text import few_samples_text
from gantune.tuner.options import Options
from gantune.tuner.state import read_run
from tests.trial.runs import CONFIG
from tests.tuner.searches import SPACE

FEW = "objective: {samples: 300, rung_samples: 32}\ntrial: {}\n"


@pytest.fixture(scope="module")
def digits() -> np.ndarray:
    """300 of the digits at 16 pixels, uint8 [300, 1, 16, 16]."""
    return np.array(load_images(DataConfig(source="digits", resolution=16)).array[::6])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Score]:
    """A training's folder, with the score that it came to."""
    home = tmp_path_factory.mktemp("trained")
    (home / "space.yaml").write_text(FEW)
    outcome = gantune.train(make_config(CONFIG), out=home / "run")
    assert outcome.score is not None
    return home / "run", outcome.score


def rank(*samples: Path | np.ndarray, **terms: object) -> list[tuple[str, Score]]:
    observer, under = Observer(), EvaluationRequest(**terms)  # type: ignore[arg-type]
    entries = [open_samples(each, under, observer) for each in samples]
    ranking = evaluate_all(entries, under, "cpu", observer).ranking
    return [(entry.name, score) for entry, score in ranking]


def train_beside(run: Path, extractor: str, out: Path) -> Score:
    """The score of a short training under the protocol of a search that has this extractor."""
    run.mkdir(parents=True)
    (run / "space.yaml").write_text(FEW)
    images = load_images(DataConfig(**CONFIG["data"]))
    resolve_extractor(extractor, images, run / "extractor")
    outcome = gantune.train(make_config(CONFIG | {"kimg": 0.2}), out=out, run=run)
    assert outcome.score is not None
    return outcome.score


def test_arrays_tensors_and_files_get_one_score(digits: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", digits)
    score = gantune.evaluate(tmp_path / "a.npy", "digits")
    assert gantune.evaluate(digits, "digits") == score
    assert gantune.evaluate(digits[:, 0], "digits") == score
    assert gantune.evaluate(torch.from_numpy(digits), "digits") == score
    assert gantune.evaluate(torch.from_numpy(digits).double() / 127.5 - 1, "digits") == score
    protocol = score.protocol
    assert (protocol.generated, protocol.latent_seed, protocol.resolution) == (300, None, 16)
    assert score.name == "fid[classifier-digits]"


def test_real_images_score_better_than_noise(digits: np.ndarray) -> None:
    noise = np.random.default_rng(0).integers(0, 256, digits.shape, dtype=np.uint8)
    good, bad = gantune.evaluate(digits, "digits"), gantune.evaluate(noise, "digits")
    assert good.value < bad.value / 20
    assert good.coverage > 0.5 > 0.1 > bad.coverage


def test_it_says_that_real_images_are_brought_to_the_samples_size(digits: np.ndarray) -> None:
    class Ears(Observer):
        def message(self, text: str) -> None:
            said.append(text)

    said: list[str] = []
    terms = EvaluationRequest(data="digits", extractor=ExtractorChoice("random"))
    evaluate_all([open_samples(digits, terms, Ears())], terms, "cpu", Ears())
    assert "real images of 8x8 pixels (width x height) are resized to 16, the samples' size" in said


def test_a_random_subset_is_scored(digits: np.ndarray) -> None:
    chosen = digits[random_subset(len(digits), 100)]
    assert gantune.evaluate(digits, "digits", count=100) == gantune.evaluate(chosen, "digits")
    with pytest.raises(ScoreError, match=r"holds 300 images, and 301 .* --samples 300"):
        gantune.evaluate(digits, "digits", count=301)


def test_colour_is_the_real_images_own_unless_named(digits: np.ndarray) -> None:
    colour = np.repeat(digits, 3, axis=1)
    with pytest.raises(ScoreError, match=r"rgb images of 16 .* digits: gray; .*colour gray"):
        gantune.evaluate(colour, "digits")
    gray = gantune.evaluate(colour, "digits", colour="gray")
    assert gray == gantune.evaluate(digits, "digits")
    both = gantune.evaluate(digits, "digits", colour="rgb")
    assert both.protocol.colour == "rgb"


def test_a_share_held_out_shows_copies(digits: np.ndarray) -> None:
    assert gantune.evaluate(digits, "digits").held_out is None
    learned = np.array(load_images(DataConfig(resolution=16, held_out=0.3)).array[:300])
    held_out = gantune.evaluate(learned, "digits", held_out=0.3).held_out
    assert held_out is not None and held_out.nearer_training > 0.6
    with pytest.raises(ConfigError, match="held_out"):
        gantune.evaluate(digits, "digits", held_out=0.9)


def test_images_need_real_ones_of_a_size_that_can_be(digits: np.ndarray) -> None:
    with pytest.raises(ScoreError, match=r"samples: .*--data"):
        gantune.evaluate(digits)
    with pytest.raises(ScoreError, match="gaussians:ring: points"):
        gantune.evaluate(digits, "gaussians:ring")
    with pytest.raises(ScoreError, match=r"samples: gray images of 1030 pixels; .*4 to 1024"):
        gantune.evaluate(np.zeros((2, 1030, 1030), np.uint8), "digits")
    with pytest.raises(DataError, match="did you mean 'digits'"):
        gantune.evaluate(digits, "digit")


def test_several_are_ranked(digits: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "good.npy", digits)
    np.save(tmp_path / "bad.npy", 255 - digits)
    ranking = rank(tmp_path / "bad.npy", tmp_path / "good.npy", data="digits")
    assert [Path(name).name for name, _ in ranking] == ["good.npy", "bad.npy"]
    assert ranking[0][1] == gantune.evaluate(digits, "digits")
    assert len({score.protocol for _, score in ranking}) == 1


def test_different_counts_or_sizes_are_not_ranked(digits: np.ndarray, tmp_path: Path) -> None:
    for name, array in (("a", digits), ("b", digits[:200]), ("c", digits[:, :, 1:, 1:])):
        np.save(tmp_path / f"{name}.npy", array)
    a, b, c = (tmp_path / f"{name}.npy" for name in "abc")
    with pytest.raises(ScoreError, match=r"generated: 200 \(.*against 300 .*\n.*samples 200"):
        rank(a, b, data="digits")
    assert len(rank(a, b, data="digits", count=200)) == 2
    with pytest.raises(ScoreError, match="one size"):
        rank(a, c, data="digits")


def test_a_training_is_scored_as_it_was(trained: tuple[Path, Score], tmp_path: Path) -> None:
    folder, score = trained
    threads = torch.get_num_threads()
    assert gantune.evaluate(folder / "best.pt") == score
    assert torch.get_num_threads() == threads
    shutil.copy(folder / "best.pt", tmp_path / "alone.pt")
    assert gantune.evaluate(tmp_path / "alone.pt", count=300) == score
    assert gantune.evaluate(tmp_path / "alone.pt", count=50).protocol != score.protocol


def test_a_checkpoint_beside_images(
    trained: tuple[Path, Score], digits: np.ndarray, tmp_path: Path
) -> None:
    np.save(tmp_path / "real.npy", digits)
    ranking = rank(trained[0] / "best.pt", tmp_path / "real.npy", data="digits")
    assert [Path(name).name for name, _ in ranking] == ["real.npy", "best.pt"]
    protocols = {score.protocol for _, score in ranking}
    assert [(each.generated, each.latent_seed) for each in protocols] == [(300, None)]


def test_a_checkpoint_draws_its_own_colour(trained: tuple[Path, Score]) -> None:
    with pytest.raises(ScoreError, match="not converted: take --colour gray"):
        gantune.evaluate(trained[0] / "best.pt", colour="rgb")


def test_changed_images_are_not_passed_off_as_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    (tmp_path / "space.yaml").write_text(FEW)
    np.save(tmp_path / "a.npy", rng.integers(0, 256, (60, 16, 16), dtype=np.uint8))
    data = {"source": str(tmp_path / "a.npy"), "resolution": 16, "colour": "gray"}
    gantune.train(make_config(CONFIG | {"data": data, "kimg": 0.2}), out=tmp_path / "run")
    best = tmp_path / "run/best.pt"
    score = gantune.evaluate(best)
    (tmp_path / "a.npy").rename(tmp_path / "b.npy")
    with pytest.raises(
        MissingSourceError, match=r"best\.pt: the images that it .*a\.npy: .*--data"
    ):
        gantune.evaluate(best)
    assert gantune.evaluate(best, tmp_path / "b.npy") == score
    (tmp_path / "run").rename(tmp_path / "received")
    best = tmp_path / "received/best.pt"
    about = json.loads((best.parent / "data.json").read_text())
    moved = json.dumps(about | {"source": str(tmp_path / "b.npy")})
    (best.parent / "data.json").write_text(moved)  # as a resumed training with --data leaves it
    assert gantune.evaluate(best) == score
    np.save(tmp_path / "a.npy", rng.integers(0, 256, (61, 16, 16), dtype=np.uint8))
    others = gantune.evaluate(best, tmp_path / "a.npy")
    assert (others.protocol.real, others.protocol.generated) == (61, 2000)
    (tmp_path / "a.npy").replace(tmp_path / "b.npy")
    with pytest.raises(ScoreError, match=r"its run had other images: 60 .* then, 61 now.*--data"):
        gantune.evaluate(best)


def test_scores_of_two_trainings_of_different_protocols_are_not_ranked(
    trained: tuple[Path, Score], tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text(FEW.replace("300", "64"))
    gantune.train(make_config(CONFIG | {"kimg": 0.2}), out=tmp_path / "run")
    both = trained[0] / "best.pt", tmp_path / "run/best.pt"
    with pytest.raises(ScoreError, match="generated: 300 against 64"):
        rank(*both)
    assert len(rank(*both, count=64)) == 2


def test_a_training_keeps_the_extractor_that_it_was_scored_by(tmp_path: Path) -> None:
    score = train_beside(tmp_path / "s", "random", tmp_path / "other/t")
    assert score.protocol.extractor == "random"
    (tmp_path / "s").rename(tmp_path / "gone")
    assert gantune.evaluate(tmp_path / "other/t/best.pt") == score
    (tmp_path / "other/t").rename(tmp_path / "moved")
    assert gantune.evaluate(tmp_path / "moved/best.pt") == score


def test_a_training_in_the_search_s_folder_needs_no_second_extractor(tmp_path: Path) -> None:
    score = train_beside(tmp_path / "s", "random", tmp_path / "s/t")
    assert not (tmp_path / "s/t/extractor").exists()
    assert gantune.evaluate(tmp_path / "s/t/best.pt") == score
    shutil.rmtree(tmp_path / "s/extractor")
    with pytest.raises(ScoreError, match="extractor: random against classifier-digits"):
        gantune.evaluate(tmp_path / "s/t/best.pt")


def test_other_terms_leave_the_run_s_own_extractor(tmp_path: Path, digits: np.ndarray) -> None:
    train_beside(tmp_path / "s", "random", tmp_path / "t")
    best = tmp_path / "t/best.pt"
    assert gantune.evaluate(best, count=50).protocol.extractor == "random"
    assert gantune.evaluate(best, "digits").protocol.extractor == "random"
    asked_for = gantune.evaluate(best, count=50, extractor="auto")
    assert asked_for.protocol.extractor == "classifier-digits"
    np.save(tmp_path / "real.npy", digits[:50])
    ranking = rank(best, tmp_path / "real.npy", data="digits", count=50)
    assert {score.protocol.extractor for _, score in ranking} == {"random"}


def test_two_runs_of_two_extractors_need_one_to_be_named(
    trained: tuple[Path, Score], tmp_path: Path
) -> None:
    train_beside(tmp_path / "s", "random", tmp_path / "t")
    both = trained[0] / "best.pt", tmp_path / "t/best.pt"
    with pytest.raises(ScoreError, match=r"by classifier-digits \(.* by random \(.*--extractor"):
        rank(*both, count=50)
    assert len(rank(*both, count=50, extractor=ExtractorChoice("random"))) == 2


def test_it_says_whose_extractor_it_is(tmp_path: Path) -> None:
    said: list[str] = []

    class Listening(Observer):
        def message(self, text: str) -> None:
            said.append(text)

    train_beside(tmp_path / "s", "random", tmp_path / "t")
    terms = EvaluationRequest(count=32)
    evaluate_all(
        [open_samples(tmp_path / "t/best.pt", terms, Observer())], terms, "cpu", Listening()
    )
    assert said[0].startswith("real: 1,797 images from digits: 10 classes")
    assert said[1:] == [
        f"scores by random, the run's own ({tmp_path / 't/extractor'}): random convolutions of a "
        "fixed seed, as requested",
        few_samples_text(32, 272),
    ]


def test_one_real_image_is_too_few(digits: np.ndarray, tmp_path: Path) -> None:
    np.save(tmp_path / "one.npy", digits[:1])
    with pytest.raises(ScoreError, match=r"one\.npy: holds 1 image; a distance needs 2 or more"):
        gantune.evaluate(digits, tmp_path / "one.npy")


def test_the_array_of_an_npz_that_is_named(digits: np.ndarray, tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", good=digits, bad=255 - digits)
    score = gantune.evaluate(tmp_path / "a.npz", "digits", key="good")
    assert score == gantune.evaluate(digits, "digits")
    with pytest.raises(DataError, match="several arrays look like images"):
        gantune.evaluate(tmp_path / "a.npz", "digits")
    with pytest.raises(ScoreError, match="samples: --key good names"):
        gantune.evaluate(digits, "digits", key="good")


def test_points_are_scored_too(tmp_path: Path, digits: np.ndarray) -> None:
    (tmp_path / "space.yaml").write_text(FEW)
    tree = CONFIG | {"data": {"source": "gaussians:ring"}, "network": {"name": "mlp", "width": 8}}
    outcome = gantune.train(make_config(tree | {"kimg": 0.2}), out=tmp_path / "run")
    best = tmp_path / "run/best.pt"
    assert gantune.evaluate(best) == outcome.score
    assert gantune.evaluate(best, "gaussians:grid").protocol.colour == "points"
    with pytest.raises(ScoreError, match="points, but digits: images"):
        gantune.evaluate(best, "digits")


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_a_trial_of_a_search_is_scored_as_it_was(tmp_path: Path) -> None:
    few, by_random = "{samples: 64,", "{extractor: random, samples: 64,"
    space = SPACE.replace("trials: 3", "trials: 2").replace(few, by_random)
    (tmp_path / "tiny.yaml").write_text(space)
    options = Options(workers=1, out=tmp_path / "run", device="cpu")
    state = read_run(gantune.search(tmp_path / "tiny.yaml", options).folder)
    first, second = (TrialFolder(tmp_path / "run/trials" / n).best for n in ("0000", "0001"))
    assert gantune.evaluate(first) == state.trials[0].outcome.score
    assert gantune.evaluate(first, count=20).protocol.extractor == "random"
    finalist = TrialFolder(tmp_path / "run" / state.finalists[0].name).best
    assert gantune.evaluate(finalist) == state.finalists[0].outcome.score
    values = [score.value for _, score in rank(first, second)]
    assert values == sorted(record.value for record in state.trials if record.value)


def test_scores_beside_the_first(digits: np.ndarray) -> None:
    score = gantune.evaluate(digits, "digits", also=["random", "fd_inf"])
    limit, random = score.also
    assert (limit.name, random.name) == ("fid_inf[classifier-digits]", "fid[random]")
    assert limit.protocol == score.protocol and limit.value < score.value
    alone = gantune.evaluate(digits, "digits", extractor="random")
    assert (random.value, random.error, random.protocol) == (
        *(alone.value, alone.error),
        alone.protocol,
    )


def test_the_extractor_of_the_first_score_is_not_named_again(digits: np.ndarray) -> None:
    with pytest.raises(ScoreError, match="also: random is the extractor of the first score"):
        gantune.evaluate(digits, "digits", extractor="random", also=["random"])


def test_what_is_wrong_with_a_further_score_is_told_before_scoring(
    digits: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def scored(*_: object) -> None:
        raise AssertionError("scored already")

    monkeypatch.setattr("gantune.evaluation.evaluate._score", scored)
    missing = tmp_path / "missing.pth"
    with pytest.raises(ScoreError, match=r"missing\.pth: no such file"):
        gantune.evaluate(digits, "digits", also=[f"dinov2-b14={missing}"])


@pytest.mark.parametrize("is_damaged", [False, True])
def test_a_training_of_a_search_has_the_scores_beside_the_first(
    is_damaged: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    run = tmp_path / "run"
    damaged = run / "extractor/also-0/extractor.json"
    damaged.parent.mkdir(parents=True)
    space = "objective: {samples: 300, rung_samples: 32, also: [random, fd_inf]}\ntrial: {}\n"
    (run / "space.yaml").write_text(space)
    images = load_images(DataConfig(**CONFIG["data"]))
    resolve_extractor("auto", images, run / "extractor")
    resolve_extractor("random", images, damaged.parent)
    if is_damaged:
        damaged.write_text("{}")
    outcome = gantune.train(make_config(CONFIG | {"kimg": 0.2}), out=tmp_path / "out", run=run)
    assert outcome.ending == "completed" and outcome.score is not None
    names = [one.name for one in outcome.score.also]
    limit = "fid_inf[classifier-digits]"
    assert names == [limit] if is_damaged else [limit, "fid[random]"]
    assert ("no score beside the first: " in caplog.text) == is_damaged
