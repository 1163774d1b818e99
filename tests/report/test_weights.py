"""The generator's weights for other programs."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from gantune.config import make_config
from gantune.data import load_images
from gantune.errors import CheckpointError
from gantune.gan.checkpoint import save_weights
from gantune.gan.trainer import Trainer
from gantune.report.weights import write_safetensors

CONFIG = {
    "data": {"source": "digits", "resolution": 16, "colour": "gray"},
    "network": {"name": "dcgan", "width": 4, "latent": 8},
}


def test_the_average_generator_with_its_config(tmp_path: Path) -> None:
    config = make_config(CONFIG)
    trainer = Trainer(config, load_images(config.data), torch.device("cpu"))
    save_weights(tmp_path / "best.pt", trainer.weights)
    write_safetensors(tmp_path / "best.pt", tmp_path / "out" / "generator.safetensors")
    expected = trainer.generator_ema.state_dict()
    with safe_open(str(tmp_path / "out" / "generator.safetensors"), "pt") as file:
        assert set(file.keys()) == set(expected)
        for name in file.keys():  # noqa: SIM118
            torch.testing.assert_close(file.get_tensor(name), expected[name], rtol=0, atol=0)
        assert "name: dcgan" in file.metadata()["config"] and file.metadata()["format"] == "pt"


def test_a_file_that_is_no_checkpoint(tmp_path: Path) -> None:
    (tmp_path / "best.pt").write_text("text")
    with pytest.raises(CheckpointError):
        write_safetensors(tmp_path / "best.pt", tmp_path / "generator.safetensors")
