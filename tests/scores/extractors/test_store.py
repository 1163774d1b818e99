"""Which extractor is selected for which images, and how it is stored."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gantune.config import DataConfig
from gantune.data import ImageSet, load_images
from gantune.errors import ScoreError, TrustError
from gantune.scores import Extractor, ExtractorChoice, load_extractor, resolve_extractor
from gantune.scores.extractors import classifier, selection
from gantune.scores.extractors import store as kept_extractor_module
from gantune.scores.extractors.classifier import train_own_classifier
from gantune.scores.extractors.store import cached_extractor
from tests.examples import examples
from tests.scores.conftest import made_up


def features_of(extractor: Extractor, images: ImageSet) -> torch.Tensor:
    with torch.inference_mode():
        return extractor.module(torch.tensor(images.array[:20]))


@pytest.fixture
def points() -> ImageSet:
    return load_images(DataConfig(source="gaussians:ring"))


def test_digits_get_the_packaged_classifier(learned: ImageSet, tmp_path: Path) -> None:
    for name in ("auto", "classifier"):
        extractor = resolve_extractor(name, learned, tmp_path)
        assert extractor.name == "classifier-digits"
        assert extractor.classes == tuple("0123456789")
        assert extractor.accuracy is not None and extractor.accuracy >= 0.97


def test_other_labelled_images_get_one_trained_on_them(tmp_path: Path) -> None:
    images = made_up(200, classes=4, side=20, channels=3)
    extractor = resolve_extractor("auto", images, tmp_path)
    assert (extractor.name, extractor.classes) == ("classifier", images.classes)
    assert extractor.resize == "32 rgb, bilinear, antialiased"
    assert extractor.accuracy is not None and extractor.accuracy > 0.9
    named = extractor.classify(features_of(extractor, images))
    assert named is not None and images.labels is not None
    assert (named.numpy() == images.labels[:20]).mean() > 0.9
    assert "160 of the labelled images" in extractor.reason


@pytest.mark.integration
def test_training_twice_gives_the_same_weights_and_leaves_the_random_state() -> None:
    images = made_up(120, classes=2)
    state = torch.get_rng_state()
    first = train_own_classifier(images)
    assert torch.equal(torch.get_rng_state(), state)
    torch.manual_seed(99)
    second = train_own_classifier(images)
    assert first.weights_hash == second.weights_hash


@pytest.mark.parametrize(
    ("images", "lack"),
    [
        (made_up(60), "no labels"),
        (made_up(60, classes=1), "one label"),
        (made_up(60, classes=20), "fewer than 20 per class"),
    ],
    ids=["unlabelled", "one class", "many classes"],
)
def test_without_classes_random_convolutions_serve(
    images: ImageSet, lack: str, tmp_path: Path
) -> None:
    extractor = resolve_extractor("auto", images, tmp_path)
    assert extractor.name == "random"
    assert lack in extractor.reason
    assert extractor.accuracy is None
    assert extractor.classify(features_of(extractor, images)) is None
    with pytest.raises(ScoreError, match=rf"'made-up': .*{lack}.*; take 'random'"):
        resolve_extractor("classifier", images, tmp_path)


@pytest.mark.integration
def test_labels_that_cannot_be_learned_give_way_to_random_convolutions(tmp_path: Path) -> None:
    images = made_up(200, classes=4)
    assert images.labels is not None
    shuffled = replace(images, labels=np.random.default_rng(1).permutation(images.labels))
    extractor = resolve_extractor("auto", shuffled, tmp_path / "auto")
    assert extractor.name == "random"
    assert "% is needed" in extractor.reason
    with pytest.raises(ScoreError, match=r"'classifier' is not available .*of 40 held-out images"):
        resolve_extractor("classifier", shuffled, tmp_path / "asked")


def test_random_weights_are_the_same_everywhere(tmp_path: Path) -> None:
    torch.manual_seed(1)
    first = resolve_extractor("random", made_up(side=16), tmp_path / "a")
    torch.manual_seed(2)
    second = resolve_extractor("random", made_up(9, side=16, seed=3), tmp_path / "b")
    assert first.weights_hash == second.weights_hash
    colour = resolve_extractor("random", made_up(channels=3), tmp_path / "c")
    assert colour.weights_hash != first.weights_hash


def test_large_images_are_scored_at_64_pixels(tmp_path: Path) -> None:
    extractor = resolve_extractor("random", made_up(4, side=128), tmp_path)
    assert extractor.resize == "64 gray, bilinear, antialiased"


@pytest.mark.parametrize("name", ["classifier", "random"])
def test_features_are_float32_of_the_stated_width(
    name: str, learned: ImageSet, tmp_path: Path
) -> None:
    extractor = resolve_extractor(name, learned, tmp_path)
    features = features_of(extractor, learned)
    assert features.dtype == torch.float32
    assert features.shape == (20, extractor.features)
    assert not features.requires_grad


def test_points_get_waves_and_their_modes(points: ImageSet, tmp_path: Path) -> None:
    for name in ("auto", "points"):
        extractor = resolve_extractor(name, points, tmp_path)
        assert extractor.name == "points-fourier"
        named = extractor.classify(features_of(extractor, points))
        assert named is not None and points.labels is not None
        assert named.tolist() == points.labels[:20].tolist()


def test_points_without_labels_have_no_modes(points: ImageSet, tmp_path: Path) -> None:
    extractor = resolve_extractor("auto", replace(points, labels=None, classes=()), tmp_path)
    assert extractor.classes == ()
    assert extractor.classify(features_of(extractor, points)) is None


def test_what_does_not_suit_the_data_is_refused(points: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"'points' does not suit 'made-up', which holds images"):
        resolve_extractor("points", made_up(), tmp_path)
    for name in ("classifier", "random"):
        with pytest.raises(ScoreError, match=r"does not suit 'gaussians:ring'.* take 'auto'"):
            resolve_extractor(name, points, tmp_path)
    assert not list(tmp_path.iterdir())


def test_a_file_of_inception_s_weights_asks_for_inception(points: ImageSet, tmp_path: Path) -> None:
    choice = ExtractorChoice(weights=str(tmp_path / "none.pth"))
    with pytest.raises(ScoreError, match=r"'inception' is not available|none\.pth: no such file"):
        resolve_extractor(choice, made_up(200, classes=4), tmp_path / "run")
    with pytest.raises(ScoreError, match=r"'inception' does not suit 'gaussians:ring'"):
        resolve_extractor(choice, points, tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_a_resize_that_has_no_effect_is_said(points: ImageSet, tmp_path: Path) -> None:
    choice = ExtractorChoice(resize="antialias")
    for images in (made_up(60), points):
        made = resolve_extractor(choice, images, tmp_path)
        assert made.reason.endswith(
            "resize 'antialias' has no effect, as it is for inception alone"
        )
    assert "has no effect" not in resolve_extractor("auto", points, tmp_path).reason


def test_an_unknown_name_gets_its_nearest(tmp_path: Path) -> None:
    with pytest.raises(ScoreError, match=r"'clasifier' is unknown.*did you mean 'classifier'"):
        resolve_extractor("clasifier", made_up(), tmp_path)
    with pytest.raises(ScoreError, match=r"one of auto, inception, dinov2, dinov2-b14, "):
        resolve_extractor("xyz", made_up(), tmp_path)


@pytest.mark.parametrize("kind", ["digits", "trained", "random", "points"])
def test_a_worker_loads_the_same_extractor(
    kind: str, learned: ImageSet, points: ImageSet, tmp_path: Path
) -> None:
    sets = {
        "digits": learned,
        "trained": made_up(80, classes=2),
        "random": made_up(),
        "points": points,
    }
    made = resolve_extractor("auto", sets[kind], tmp_path)
    loaded = load_extractor(tmp_path)
    assert torch.equal(features_of(loaded, sets[kind]), features_of(made, sets[kind]))
    for field in ("name", "reason", "classes", "accuracy", "weights_hash", "features", "resize"):
        assert getattr(loaded, field) == getattr(made, field)
    record = json.loads((tmp_path / "extractor.json").read_text())
    assert record["weights_hash"] == made.weights_hash
    assert {"name", "resize", "accuracy", "reason"} <= set(record)


def test_other_weights_than_were_saved_are_refused(tmp_path: Path) -> None:
    resolve_extractor("random", made_up(), tmp_path)
    path = tmp_path / "extractor.pt"
    weights = torch.load(path, weights_only=True)
    next(iter(weights.values()))[0] += 1e-3
    torch.save(weights, path)
    with pytest.raises(ScoreError, match=r"extractor.json: .*not those it was saved with"):
        load_extractor(tmp_path)


@pytest.mark.parametrize("name", ["extractor.pt", "extractor.json"])
@examples(25)
@given(place=st.floats(0, 1, exclude_max=True), junk=st.binary(max_size=30), cut=st.booleans())
def test_damaged_files_are_refused_or_harmless(
    place: float, junk: bytes, cut: bool, name: str, tmp_path: Path
) -> None:
    made = resolve_extractor("random", made_up(), tmp_path)
    path = tmp_path / name
    whole = path.read_bytes()
    at = int(place * len(whole))
    path.write_bytes(whole[:at] + junk + (b"" if cut else whole[at + len(junk) :]))
    try:
        loaded = load_extractor(tmp_path)
    except ScoreError as error:
        assert "extractor" in str(error)
    else:
        assert loaded.weights_hash == made.weights_hash


@pytest.mark.parametrize("name", ["extractor.pt", "extractor.json"])
def test_a_missing_file_is_named(name: str, tmp_path: Path) -> None:
    resolve_extractor("random", made_up(), tmp_path)
    (tmp_path / name).unlink()
    with pytest.raises(ScoreError, match=rf"{name}: no such file"):
        load_extractor(tmp_path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(ScoreError, match=r"file: cannot be written"):
        resolve_extractor("random", made_up(), blocked)


CPU = torch.device("cpu")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ImageSet]:
    """The images on which a classifier was trained, in turn. Each training is a short one."""
    monkeypatch.setattr(classifier, "_PASSES", 800)
    found: list[ImageSet] = []

    def noted(images: ImageSet) -> Extractor:
        found.append(images)
        return train_own_classifier(images)

    monkeypatch.setattr(selection, "train_own_classifier", noted)
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / "cache"))
    return found


def kept(images: ImageSet, name: str = "classifier") -> Extractor:
    return cached_extractor(ExtractorChoice(name), images, CPU)


def test_a_classifier_is_trained_once_for_the_same_images(trained: list[ImageSet]) -> None:
    images = made_up(200, classes=4)
    first, again = kept(images), kept(images)
    assert len(trained) == 1
    assert again.weights_hash == first.weights_hash and again.reason == first.reason
    kept(made_up(201, classes=4))
    assert len(trained) == 2


def test_a_damaged_one_is_trained_again(trained: list[ImageSet], tmp_path: Path) -> None:
    images = made_up(200, classes=4)
    first = kept(images)
    (weights,) = (tmp_path / "cache/extractors").glob("*/extractor.pt")
    weights.write_bytes(weights.read_bytes()[:1000])
    assert kept(images).weights_hash == first.weights_hash
    assert len(trained) == 2


def test_the_cache_key_includes_the_class_names(trained: list[ImageSet]) -> None:
    images = made_up(200, classes=4)
    kept(images)
    renamed = replace(images, classes=("a", "b", "c", "d"))
    assert kept(renamed).classes == kept(renamed).classes == renamed.classes
    assert len(trained) == 2


def test_an_incomplete_entry_cannot_be_read(
    trained: list[ImageSet],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    home = tmp_path / "cache/extractors"
    save, folders = kept_extractor_module._save, []

    def while_another_is_first(extractor: Extractor, folder: Path) -> None:
        save(extractor, folder)
        folders.append(folder)
        if len(folders) == 1:
            assert [path.name[0] for path in home.iterdir()] == ["."]
            kept(images)

    monkeypatch.setattr(kept_extractor_module, "_save", while_another_is_first)
    images = made_up(200, classes=4)
    with caplog.at_level("WARNING"):
        first = kept(images)
    assert not caplog.text
    assert len(set(folders)) == 2
    (folder,) = home.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["extractor.json", "extractor.pt"]
    assert kept(images).weights_hash == first.weights_hash
    assert len(folders) == 2


def test_a_cache_that_cannot_be_written_is_a_warning(
    trained: list[ImageSet], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("")
    extractor = resolve_extractor("classifier", made_up(200, classes=4), tmp_path / "run")
    assert extractor.name == "classifier"
    assert "cannot be written" in caplog.text


def test_a_study_takes_the_classifier_from_the_cache(
    trained: list[ImageSet], tmp_path: Path
) -> None:
    images = made_up(200, classes=4)
    first = resolve_extractor("classifier", images, tmp_path / "a")
    second = resolve_extractor("classifier", images, tmp_path / "b")
    assert len(trained) == 1
    assert second.weights_hash == first.weights_hash == kept(images).weights_hash
    assert second.reason == first.reason


def test_inception_that_was_just_downloaded_is_not_cached(
    trained: list[ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kept(made_up(200, classes=4))
    monkeypatch.setattr(made.module, "kind", "inception")

    monkeypatch.setattr(kept_extractor_module, "select", lambda *_: made)
    shutil.rmtree(tmp_path / "cache/extractors")
    monkeypatch.setattr(kept_extractor_module, "_may_be_published", lambda *_: False)
    assert kept(made_up(200, classes=4), "auto") is made
    assert not (tmp_path / "cache/extractors").exists()


def test_on_a_gpu_inception_is_chosen_as_soon_as_it_can_be_had(
    trained: list[ImageSet], monkeypatch: pytest.MonkeyPatch
) -> None:
    images, cuda = made_up(200, classes=4), torch.device("cuda")
    made = selection.select(ExtractorChoice("classifier"), images, CPU)
    monkeypatch.setattr(torch.nn.Module, "to", lambda module, *_: module)  # there is no GPU
    chosen: list[str] = []

    def select(*_: object) -> Extractor:
        chosen.append(lack or "")
        return made

    lack: str | None = "not installed"
    monkeypatch.setattr(kept_extractor_module, "select", select)
    monkeypatch.setattr(kept_extractor_module, "missing_inception", lambda: lack)
    for now in ("not installed", "not installed", None, None):
        lack = now
        cached_extractor(ExtractorChoice(), images, cuda)
    assert chosen == ["not installed", "", ""]  # without the library once, then it is tried again


def test_a_user_network_is_never_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[ImageSet]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    Path("kept_net.py").write_text(
        "import torch\n"
        "value = 1.0\n"
        "class Own(torch.nn.Module):\n"
        "    def forward(self, x): return x.float().flatten(1)[:, :4] * value\n"
    )
    ExtractorChoice("kept_net:Own").remember()
    assert kept(made_up(), "kept_net:Own").name == "kept_net:Own"
    assert not (tmp_path / "cache/extractors").exists()


def test_a_factory_that_gives_another_network_each_time_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[ImageSet]
) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "unsteady_net.py").write_text(
        "import torch\n"
        "calls = []\n"
        "class Own(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        calls.append(self)\n"
        "        self.factor = len(calls)\n"
        "    def forward(self, x): return x.float().flatten(1)[:, :4] * self.factor\n"
    )
    ExtractorChoice("unsteady_net:Own").remember()
    with pytest.raises(ScoreError, match="other weights or features than before"):
        kept(made_up(), "unsteady_net:Own")


def test_inception_from_a_weights_file_is_never_cached(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[ImageSet]
) -> None:
    made = kept(made_up(200, classes=4))
    shutil.rmtree(tmp_path / "cache/extractors")
    monkeypatch.setattr(kept_extractor_module, "select", lambda *_: made)
    assert cached_extractor(ExtractorChoice(weights="w.pth"), made_up(200, classes=4), CPU) is made
    assert not (tmp_path / "cache/extractors").exists()


def test_an_unavailable_extractor_is_an_error(trained: list[ImageSet]) -> None:
    with pytest.raises(ScoreError, match="no labels"):
        kept(made_up())


@pytest.mark.parametrize("kind", sorted(kept_extractor_module._NETWORKS))
def test_weights_in_a_received_run_are_never_executed(tmp_path: Path, kind: str) -> None:
    """Inception's too, which its library would read as a pickle."""
    mark = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (mark,)

    torch.save({"network": Attack()}, tmp_path / "extractor.pt")
    record = {"name": kind, "kind": kind, "settings": {}, "reason": "", "classes": []}
    text = json.dumps(record | {"accuracy": None, "weights_hash": "0" * 64})
    (tmp_path / "extractor.json").write_text(text)
    with pytest.raises((ScoreError, TrustError)):
        load_extractor(tmp_path)
    assert not mark.exists()
    if kind == "inception":
        with pytest.raises(ScoreError, match=r"json: the feature extractor cannot be read"):
            load_extractor(tmp_path)
