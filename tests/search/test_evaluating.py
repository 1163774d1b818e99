"""``gantune.evaluate``: samples of any model, and checkpoints as they were scored at home."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

import gantune
from gantune.config import DataConfig, make_config
from gantune.data import load_images
from gantune.errors import ConfigError, DataError, ScoreError
from gantune.scores import Score
from gantune.search.evaluating import evaluate_all, open_samples
from gantune.search.folder import TrialFolder
from gantune.search.prepare import Options
from gantune.search.reading import read_run
from gantune.search.state import Watcher
from gantune.search.terms import Terms
from tests.search.test_local import SPACE
from tests.search.test_session import CONFIG

FEW = "objective: {samples: 300, rung_samples: 32}\ntrial: {}\n"


@pytest.fixture(autouse=True, scope="module")
def _one_core(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Threads that wait for each other on a busy machine take minutes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "sched_getaffinity", lambda process: {0})
        patch.setenv("GANTUNE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        yield


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
    watcher, under = Watcher(), Terms(**terms)  # type: ignore[arg-type]
    entries = [open_samples(each, under, watcher) for each in samples]
    ranking = evaluate_all(entries, under, "cpu", watcher).ranking
    return [(rated.samples.name, rated.score) for rated in ranking]


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


def test_the_first_images_alone(digits: np.ndarray) -> None:
    assert gantune.evaluate(digits, "digits", count=100) == gantune.evaluate(digits[:100], "digits")
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
    with pytest.raises(ConfigError, match=r"samples: resolution: .* 1024, not 1030"):
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
    gantune.evaluate(best)
    np.save(tmp_path / "a.npy", rng.integers(0, 256, (61, 16, 16), dtype=np.uint8))
    with pytest.raises(ScoreError, match=r"then against now:\n  data: [^;]*real: 60 against 61"):
        gantune.evaluate(best)
    assert gantune.evaluate(best, data["source"], count=50).protocol.real == 61


def test_scores_of_two_trainings_of_different_protocols_are_not_ranked(
    trained: tuple[Path, Score], tmp_path: Path
) -> None:
    (tmp_path / "space.yaml").write_text(FEW.replace("300", "64"))
    gantune.train(make_config(CONFIG | {"kimg": 0.2}), out=tmp_path / "run")
    both = trained[0] / "best.pt", tmp_path / "run/best.pt"
    with pytest.raises(ScoreError, match="generated: 300 against 64"):
        rank(*both)
    assert len(rank(*both, count=64)) == 2


def test_points_are_scored_too(tmp_path: Path, digits: np.ndarray) -> None:
    (tmp_path / "space.yaml").write_text(FEW)
    tree = CONFIG | {"data": {"source": "gaussians:ring"}, "network": {"name": "mlp", "width": 8}}
    outcome = gantune.train(make_config(tree | {"kimg": 0.2}), out=tmp_path / "run")
    best = tmp_path / "run/best.pt"
    assert gantune.evaluate(best) == outcome.score
    assert gantune.evaluate(best, "gaussians:grid").protocol.colour == "points"
    with pytest.raises(ScoreError, match="points, but digits: images"):
        gantune.evaluate(best, "digits")


def test_a_trial_of_a_search_is_scored_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "tiny.yaml").write_text(SPACE.replace("trials: 3", "trials: 2"))
    options = Options(workers=1, out=tmp_path / "run", device="cpu")
    state = read_run(gantune.search(tmp_path / "tiny.yaml", options).folder)
    first, second = (TrialFolder(tmp_path / "run/trials" / n).best for n in ("0000", "0001"))
    assert gantune.evaluate(first) == state.trials[0].outcome.score  # type: ignore[union-attr]
    finalist = TrialFolder(tmp_path / "run" / state.finalists[0].name).best
    assert gantune.evaluate(finalist) == state.finalists[0].outcome.score  # type: ignore[union-attr]
    values = [score.value for _, score in rank(first, second)]
    assert values == sorted(record.value for record in state.trials if record.value)
