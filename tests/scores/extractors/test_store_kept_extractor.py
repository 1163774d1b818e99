"""A classifier is trained once; what costs little is made anew."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gantune.data import ImageSet
from gantune.errors import ScoreError
from gantune.scores import Extractor, ExtractorChoice
from gantune.scores.extractors import selection
from gantune.scores.extractors import store as kept_extractor_module
from gantune.scores.extractors.classifier import train_own_classifier
from gantune.scores.extractors.store import kept_extractor
from tests.scores.conftest import made_up

CPU = torch.device("cpu")


@pytest.fixture
def trained(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[ImageSet]:
    """The images on which a classifier was trained, in turn."""
    found: list[ImageSet] = []

    def noted(images: ImageSet) -> Extractor:
        found.append(images)
        return train_own_classifier(images)

    monkeypatch.setattr(selection, "train_own_classifier", noted)
    monkeypatch.setenv("GANTUNE_CACHE", str(tmp_path / "cache"))
    return found


def kept(images: ImageSet, name: str = "classifier") -> Extractor:
    return kept_extractor(ExtractorChoice(name), images, CPU)


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


def test_the_classes_names_are_part_of_what_is_kept(trained: list[ImageSet]) -> None:
    images = made_up(200, classes=4)
    kept(images)
    renamed = replace(images, classes=("a", "b", "c", "d"))
    assert kept(renamed).classes == kept(renamed).classes == renamed.classes
    assert len(trained) == 2


def test_nothing_half_made_can_be_read(
    trained: list[ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "cache/extractors"
    make, folders = kept_extractor_module.resolve_extractor, []

    def while_another_is_first(
        choice: ExtractorChoice, images: ImageSet, folder: Path, device: torch.device
    ) -> Extractor:
        made = make(choice, images, folder, device)
        folders.append(folder)
        if len(folders) == 1:
            assert [path.name[0] for path in home.iterdir()] == ["."]
            kept(images)
        return made

    monkeypatch.setattr(kept_extractor_module, "resolve_extractor", while_another_is_first)
    images = made_up(200, classes=4)
    first = kept(images)
    assert len(set(folders)) == 2
    (folder,) = home.iterdir()
    assert sorted(path.name for path in folder.iterdir()) == ["extractor.json", "extractor.pt"]
    assert kept(images).weights_hash == first.weights_hash
    assert len(folders) == 2


def test_inception_that_was_downloaded_only_now_is_not_kept(
    trained: list[ImageSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = kept(made_up(200, classes=4))
    monkeypatch.setattr(made.module, "kind", "inception")

    def inception(
        choice: ExtractorChoice, images: ImageSet, folder: Path, device: torch.device
    ) -> Extractor:
        folder.mkdir(parents=True)
        (folder / "extractor.pt").touch()
        return made

    monkeypatch.setattr(kept_extractor_module, "resolve_extractor", inception)
    monkeypatch.setattr(kept_extractor_module, "downloaded_weights", lambda: tmp_path / "none")
    monkeypatch.setattr(kept_extractor_module, "inception_lack", lambda: None)
    shutil.rmtree(tmp_path / "cache/extractors")
    found = kept_extractor(ExtractorChoice(), made_up(200, classes=4), torch.device("cuda"))
    assert found is made
    assert not list((tmp_path / "cache/extractors").iterdir())


def test_a_network_of_ones_own_is_never_kept(
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
    assert kept(made_up(), "kept_net:Own").name == "kept_net:Own"
    assert not (tmp_path / "cache/extractors").exists()


def test_inception_by_a_file_of_its_weights_is_never_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, trained: list[ImageSet]
) -> None:
    made = kept(made_up(200, classes=4))
    folders: list[Path] = []

    def inception(
        choice: ExtractorChoice, images: ImageSet, folder: Path, device: torch.device
    ) -> Extractor:
        folders.append(folder)
        return made

    monkeypatch.setattr(kept_extractor_module, "resolve_extractor", inception)
    assert kept_extractor(ExtractorChoice(weights="w.pth"), made_up(200, classes=4), CPU) is made
    assert tmp_path / "cache" not in folders[0].parents


def test_one_that_cannot_be_had_is_an_error(trained: list[ImageSet]) -> None:
    with pytest.raises(ScoreError, match="no labels"):
        kept(made_up())
