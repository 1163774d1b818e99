"""DINOv2, with weights that are made here: its published files cannot be downloaded in tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
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
from gantune.scores.extractors.dinov2 import DinoV2, VisionTransformer, to_pixels
from tests.scores.conftest import made_up, shown

REFERENCE = [-0.50313, -0.26077, -0.16462, -0.26733, -0.31563, 0.00806, 0.24144, 0.11831]
"""The first features that the authors' own code gives for the weights and the image below
(github.com/facebookresearch/dinov2, commit b8931f7, with two blocks of width 128)."""


def filled(network: nn.Module) -> nn.Module:
    """Gives every weight a value that depends on its place alone."""
    for k, (_, weight) in enumerate(sorted(network.state_dict().items())):
        places = torch.arange(weight.numel(), dtype=torch.float64)
        weight.copy_((places * 0.7 + k).sin().mul(0.2).view(weight.shape))
    return network.eval()


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the right names and shapes for ViT-B/14, as published: with a mask token."""
    torch.manual_seed(0)
    state = {name: 0.05 * torch.randn(w.shape) for name, w in base().state_dict().items()}
    path = tmp_path_factory.mktemp("weights") / "dinov2_vitb14_pretrain.pth"
    torch.save(state | {"mask_token": torch.zeros(1, 768)}, path)
    return path


def base() -> nn.Module:
    return DinoV2("dinov2-b14").network


def choice(path: Path, name: str = "dinov2-b14") -> ExtractorChoice:
    return ExtractorChoice(name, str(path))


@torch.no_grad()
def test_features_are_those_of_the_authors_code() -> None:
    image = (torch.arange(3 * 224 * 224, dtype=torch.float64) * 0.01).sin()
    found = filled(VisionTransformer(128, 2))(image.view(1, 3, 224, 224).float())
    assert found.shape == (1, 128)
    assert found[0, :8].tolist() == pytest.approx(REFERENCE, abs=1e-4)


@pytest.mark.parametrize("side", [32, 224, 300])
def test_images_are_resized_as_by_pillow(side: int) -> None:
    levels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    expected = np.asarray(Image.fromarray(levels).resize((224, 224), Image.Resampling.BICUBIC))
    found = to_pixels(torch.from_numpy(levels).permute(2, 0, 1)[None])[0]
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    back = (found.permute(1, 2, 0) * std + mean) * 255
    assert np.abs(back.numpy() - expected).max() <= 1.001  # a half may be rounded either way


@pytest.mark.integration
def test_a_run_holds_its_weights_and_names_its_score(weights: Path, tmp_path: Path) -> None:
    images = made_up(6, side=32)
    made = resolve_extractor(choice(weights), images, tmp_path / "run")
    loaded = load_extractor(tmp_path / "run")
    assert loaded.weights_hash == made.weights_hash
    assert (loaded.name, loaded.features) == ("dinov2-b14", 768)
    assert loaded.resize == "224 rgb, bicubic, antialiased"
    real = RealImages(images, None)
    protocols = make_protocols(loaded, real, rung_samples=6, samples=6)
    score = Evaluator(loaded, real, protocols).score(shown(torch.tensor(images.array)))
    assert score.name == "fd[dinov2-b14]"
    assert score.value == pytest.approx(0, abs=1e-3) and score.coverage == 1


@pytest.mark.parametrize("kind", ["missing", "text", "other names", "a list"])
def test_a_file_of_something_else(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "given.pth"
    contents: dict[str, Any] = {
        "other names": nn.Linear(2, 2).state_dict(),
        "a list": [torch.zeros(2)],
    }
    if kind == "text":
        path.write_text("<html>not found</html>")
    elif kind in contents:
        torch.save(contents[kind], path)
    with pytest.raises(ScoreError, match=r"given\.pth: .*(needed|no weights)") as error:
        resolve_extractor(choice(path), made_up(), tmp_path / "run")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.integration
def test_the_large_network_refuses_weights_of_the_small_one(weights: Path, tmp_path: Path) -> None:
    with pytest.raises(
        ScoreError, match=r"another network than dinov2-l14, .*vitl14_pretrain\.pth"
    ):
        resolve_extractor(choice(weights, "dinov2"), made_up(), tmp_path / "run")


def test_offline_it_names_the_address_and_the_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise OSError("no network")

    monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path))
    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(ScoreError) as error:
        resolve_extractor("dinov2", made_up(), tmp_path / "run")
    text = str(error.value)
    assert "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/dinov2_vitl14_pretrain.pth" in text
    assert str(tmp_path / "checkpoints" / "dinov2_vitl14_pretrain.pth") in text


def test_another_extractor_takes_no_weights() -> None:
    with pytest.raises(ScoreError, match="weights: is for inception and dinov2 alone"):
        ExtractorChoice("random", "weights.pth")
    with pytest.raises(ScoreError, match="resize: is for the Inception network alone"):
        ExtractorChoice("dinov2", resize="antialias")
