"""The Inception path end to end, with a weights file of the right format made here.

``make test-inception`` makes the environment for it: where torch-fidelity or torchvision are
missing these tests are skipped, and say so.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from gantune.errors import ScoreError
from gantune.scores import (
    Evaluator,
    ExtractorChoice,
    RealImages,
    load_extractor,
    make_protocols,
    resolve_extractor,
)
from gantune.scores.extractors.inception import (
    load_inception,
    missing_inception,
    published_weights,
)
from tests.scores.conftest import made_up, shown

_LACK = missing_inception()
pytestmark = pytest.mark.skipif(_LACK is not None, reason=f"no Inception here: {_LACK}")


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as torch-fidelity downloads it, with random weights that keep activations in range."""
    from torch_fidelity import feature_extractor_inceptionv3 as home

    class Unloaded(home.FeatureExtractorInceptionV3):  # type: ignore[misc]
        def load_state_dict(self, *args: Any, **kwargs: Any) -> None:
            pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(home, "load_state_dict_from_url", lambda *args, **kwargs: {})
        torch.manual_seed(0)
        network = Unloaded("inception-v3-compat", ["2048"])
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            nn.init.kaiming_normal_(part.weight)
    whole = tmp_path_factory.mktemp("weights") / "whole.pth"
    torch.save(network.state_dict(), whole)
    digest = hashlib.sha256(whole.read_bytes()).hexdigest()
    return whole.rename(whole.with_name(f"weights-made-here-{digest[:8]}.pth"))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An own cache of torch.hub, empty."""
    before = torch.hub._hub_dir
    torch.hub.set_dir(str(tmp_path / "hub"))
    yield tmp_path / "hub" / "checkpoints"
    monkeypatch.setattr(torch.hub, "_hub_dir", before)


@pytest.fixture
def served(weights: Path, hub: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The library's download comes from this copy of the file, which a test may spoil."""
    copy = tmp_path / weights.name
    shutil.copy(weights, copy)
    home = "torch_fidelity.feature_extractor_inceptionv3.URL_INCEPTION_V3"
    monkeypatch.setattr(home, copy.as_uri())
    return copy


def choice(weights: Path, **settings: Any) -> ExtractorChoice:
    return ExtractorChoice("inception", str(weights), **settings)


@pytest.mark.parametrize(("resize", "channels"), [("legacy", 1), ("antialias", 3)])
def test_scores_are_those_of_torchmetrics(
    resize: Any, channels: int, weights: Path, tmp_path: Path
) -> None:
    from torchmetrics.image.fid import FrechetInceptionDistance

    real, made = (made_up(24, classes=4, side=32, channels=channels, seed=s) for s in (0, 1))
    made.array[:, :, 8:24] //= 2
    extractor = resolve_extractor(choice(weights, resize=resize), real, tmp_path)
    images = RealImages(real, None)
    protocols = make_protocols(extractor, images, rung_samples=24, samples=24)
    score = Evaluator(extractor, images, protocols).score(shown(torch.tensor(made.array)))
    reference = FrechetInceptionDistance(
        2048, feature_extractor_weights_path=str(weights), antialias=resize == "antialias"
    ).set_dtype(torch.float64)
    for side, is_real in ((real, True), (made, False)):
        reference.update(torch.tensor(side.array).expand(-1, 3, -1, -1), real=is_real)
    assert score.name == "fid"
    assert score.value == pytest.approx(float(reference.compute()), rel=1e-4)


def test_the_two_resizes_are_two_protocols(weights: Path, tmp_path: Path) -> None:
    images = made_up(4, side=32)
    found = []
    for resize in ("legacy", "antialias"):
        extractor = resolve_extractor(choice(weights, resize=resize), images, tmp_path / resize)
        features = extractor.module(torch.tensor(images.array))
        assert features.shape == (4, 2048) and features.dtype == torch.float32
        found.append((extractor.resize, features))
    assert [text for text, _ in found] == [
        "299 rgb, bilinear, TF1-compatible (legacy)",
        "299 rgb, bilinear, antialiased",
    ]
    assert not torch.allclose(found[0][1], found[1][1])


def test_features_do_not_depend_on_the_batch(weights: Path, tmp_path: Path) -> None:
    images = torch.tensor(made_up(60, side=16).array)
    module = resolve_extractor(choice(weights), made_up(), tmp_path).module
    together = module(images)
    apart = torch.cat([module(part) for part in torch.split(images, 23)])
    torch.testing.assert_close(together, apart, rtol=1e-4, atol=1e-4)


def test_a_run_holds_its_weights(weights: Path, tmp_path: Path) -> None:
    source = tmp_path / "mine.pth"
    shutil.copy(weights, source)
    made = resolve_extractor(choice(source), made_up(), tmp_path / "run")
    source.unlink()
    loaded = load_extractor(tmp_path / "run")
    assert loaded.weights_hash == made.weights_hash
    assert (loaded.name, loaded.resize, loaded.features) == ("inception", made.resize, 2048)
    (tmp_path / "run" / "extractor.pt").write_bytes(b"damaged")
    with pytest.raises(ScoreError, match=r"extractor\.pt: no file of weights"):
        load_extractor(tmp_path / "run")


def test_the_download_is_made_once(served: Path, hub: Path, tmp_path: Path) -> None:
    first = resolve_extractor("inception", made_up(), tmp_path / "a")
    assert published_weights().path == hub / served.name and published_weights().path.exists()
    served.unlink()  # offline from here on
    second = resolve_extractor("inception", made_up(), tmp_path / "b")
    assert first.weights_hash == second.weights_hash


def test_offline_without_a_file(served: Path, tmp_path: Path) -> None:
    served.unlink()
    with pytest.raises(ScoreError) as error:
        resolve_extractor("inception", made_up(), tmp_path / "run")
    text = str(error.value)
    assert "cannot be downloaded" in text and served.as_uri() in text
    assert str(published_weights().path) in text and "objective.weights" in text
    assert not (tmp_path / "run").exists()


def test_a_download_with_another_hash_is_refused(served: Path, hub: Path) -> None:
    served.write_bytes(served.read_bytes() + b"portal")
    with pytest.raises(ScoreError, match=r"cannot be downloaded \(invalid hash value"):
        load_inception(ExtractorChoice("inception"))
    assert not published_weights().path.exists()


@pytest.mark.parametrize("place", [0.0, 0.3, 0.99])
def test_a_damaged_file(place: float, weights: Path, tmp_path: Path) -> None:
    content = weights.read_bytes()
    damaged = tmp_path / "cut.pth"
    damaged.write_bytes(content[: int(place * len(content))])
    with pytest.raises(ScoreError, match=r"cut\.pth: no file of weights, or a damaged"):
        resolve_extractor(choice(damaged), made_up(), tmp_path / "run")


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Mischief:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "ran",)

    torch.save({"fc.weight": Mischief()}, tmp_path / "evil.pth")
    with pytest.raises(ScoreError, match=r"evil\.pth: no file of weights"):
        resolve_extractor(choice(tmp_path / "evil.pth"), made_up(), tmp_path / "run")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("kind", ["other names", "other shapes", "a list"])
def test_weights_of_another_network(kind: str, weights: Path, tmp_path: Path) -> None:
    whole = torch.load(weights, weights_only=True)
    whole["fc.weight"] = torch.zeros(1000, 2048)
    foreign = {
        "other names": nn.Linear(2, 2).state_dict(),
        "other shapes": whole,
        "a list": [torch.zeros(2)],
    }
    path = tmp_path / "foreign.pth"
    torch.save(foreign[kind], path)
    with pytest.raises(ScoreError, match=r"foreign\.pth: .*(another network|no weights)") as error:
        resolve_extractor(choice(path), made_up(), tmp_path / "run")
    assert "\n" not in str(error.value)


def test_a_missing_file_and_a_folder(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"none\.pth: no such file"):
        resolve_extractor(choice(tmp_path / "none.pth"), made_up(), tmp_path / "run")
    with pytest.raises(ScoreError, match=r"cannot be read: Is a directory"):
        resolve_extractor(choice(tmp_path), made_up(), tmp_path / "run")


def test_auto_takes_it_only_on_a_gpu(served: Path, tmp_path: Path) -> None:
    from gantune.scores.extractors.selection import select

    images = made_up(60, side=16)
    on_cpu = select(ExtractorChoice(), images, torch.device("cpu"))
    assert on_cpu.name == "random"
    assert "inception: on a CPU it takes 0.1 s an image" in on_cpu.reason
    on_gpu = select(ExtractorChoice(), images, torch.device("cuda"))
    assert on_gpu.name == "inception"
    served.unlink()
    published_weights().path.unlink()
    offline = select(ExtractorChoice(), images, torch.device("cuda"))
    assert offline.name == "random"
    assert "inception: the weights cannot be downloaded" in offline.reason


def test_a_file_of_its_weights_asks_for_it_on_a_cpu_too(weights: Path, tmp_path: Path) -> None:
    made = resolve_extractor(ExtractorChoice("auto", str(weights)), made_up(60), tmp_path)
    assert made.name == "inception"
    assert made.reason == "the network of published FIDs, as requested"


def test_features_are_finite_and_vary(weights: Path, tmp_path: Path) -> None:
    module = resolve_extractor(choice(weights), made_up(), tmp_path).module
    features = module(torch.tensor(made_up(8, classes=4).array)).numpy()
    assert np.isfinite(features).all() and features.std(axis=0).max() > 1e-3
