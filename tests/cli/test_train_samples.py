"""``sample``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.cli.conftest import Run

Checkpoint = Callable[..., Path]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Writes ``best.pt`` of a generator that has learned nothing."""
    from gantune.config import make_config
    from gantune.data import load_images, resolved
    from gantune.gan.checkpoint import save_weights
    from gantune.gan.trainer import Trainer

    def write(**network: object) -> Path:
        config = make_config({"network": {"width": 4, **network}, "data": {"resolution": 16}})
        images = load_images(config.data)
        save_weights(tmp_path / "best.pt", Trainer(resolved(config, images), images, "cpu"))
        return tmp_path / "best.pt"

    return write


def test_sample_draws_what_its_seed_says(run: Run, tmp_path: Path, checkpoint: Checkpoint) -> None:
    checkpoint()
    for name, seed in (("a.png", "1"), ("b.png", "1"), ("c.png", "2")):
        assert run("sample", "best.pt", "-n", "9", "-o", name, "--seed", seed)[0] == 0
    a, b, c = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert a == b != c
    with Image.open(tmp_path / "a.png") as picture:
        assert picture.width == picture.height >= 3 * 64
    (tmp_path / "file").write_text("")
    code, _, error = run("sample", "best.pt", "-o", "file/grid.png")
    assert code == 2 and "cannot be written" in error


def test_a_class_is_drawn_alone(
    run: Run, monkeypatch: pytest.MonkeyPatch, checkpoint: Checkpoint
) -> None:
    from gantune.gan import sampling

    drawn: list[torch.Tensor | None] = []
    real = sampling.sample_images

    def sample_images(
        generator: torch.nn.Module,
        number: int,
        random: torch.Generator,
        labels: torch.Tensor | None = None,
    ) -> torch.Tensor:
        drawn.append(labels)
        return real(generator, number, random, labels)

    monkeypatch.setattr(sampling, "sample_images", sample_images)
    checkpoint(conditional=True)
    assert run("sample", "best.pt", "-n", "5", "--class", "3")[0] == 0
    assert run("sample", "best.pt", "-n", "5")[0] == 0
    chosen, free = drawn
    assert chosen is not None and chosen.tolist() == [3] * 5
    assert chosen.dtype == torch.int64 and free is None


def test_a_class_that_is_not_there_is_refused(
    run: Run, tmp_path: Path, checkpoint: Checkpoint
) -> None:
    checkpoint(conditional=True)
    assert run("sample", "best.pt", "--class", "9")[0] == 0
    (tmp_path / "grid.png").unlink()
    code, _, error = run("sample", "best.pt", "--class", "10")
    assert (code, error) == (2, "--class 10: the classes are 0 to 9\n")
    checkpoint(conditional=False)
    code, _, error = run("sample", "best.pt", "--class", "0")
    assert code == 2 and "trained without classes" in error
    assert run("sample", "best.pt", "--class", "-1")[0] == 2
    assert not (tmp_path / "grid.png").exists()
