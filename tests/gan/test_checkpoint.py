"""Checkpoints: complete, or refused."""

from __future__ import annotations

import copy
import os
import pickle
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gantune.errors import CheckpointError
from gantune.gan.checkpoint import (
    load_checkpoint,
    load_generator,
    save_checkpoint,
    save_weights,
    take_checkpoint,
)
from gantune.gan.trainer import Trainer
from tests.examples import examples
from tests.gan.builders import assert_same_state, config_of, images_for


@pytest.fixture(scope="module")
def trainer() -> Trainer:
    config = config_of("mlp")
    trainer = Trainer(config, images_for(config), "cpu")
    list(trainer)
    return trainer


@pytest.fixture(scope="module")
def last(trainer: Trainer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("checkpoint") / "last.pt"
    save_checkpoint(path, take_checkpoint(trainer))
    return path


def test_save_and_load_round_trip(trainer: Trainer, last: Path) -> None:
    found = load_checkpoint(last)
    assert found.config == trainer.config
    assert found.kimg == trainer.kimg == pytest.approx(0.12)
    assert_same_state(found.trainer, trainer.state_dict())


def test_a_checkpoint_is_a_copy_that_training_does_not_change() -> None:
    config = config_of("dcgan", kimg=0.08)
    trainer = Trainer(config, images_for(config), "cpu")
    ticks = iter(trainer)
    next(ticks)
    taken, state = take_checkpoint(trainer), copy.deepcopy(trainer.state_dict())
    next(ticks)
    assert_same_state(taken.trainer, state)
    before, after = state["game"]["generator"]["network"], taken.weights.generator
    assert after._metadata == before._metadata  # type: ignore[attr-defined]
    for name, value in before.items():
        assert after[name].stride() == value.stride()


def test_it_is_one_dict_that_torch_reads(last: Path) -> None:
    content = torch.load(last, weights_only=True)
    assert content["format"].startswith("gantune") and len(content["sha256"]) == 64


@pytest.mark.parametrize("network", ["mlp", "dcgan", "dcgan28"])
def test_both_kinds_hold_the_averaged_generator(network: str, tmp_path: Path) -> None:
    config = config_of(network, kimg=0.04)
    trainer = Trainer(config, images_for(config), "cpu")
    list(trainer)
    save_checkpoint(tmp_path / "last.pt", take_checkpoint(trainer))
    save_weights(tmp_path / "best.pt", trainer.weights)
    z = torch.randn(5, config.network.latent)
    expected = trainer.generator_ema(z)
    for name in ("last.pt", "best.pt"):
        generator = load_generator(tmp_path / name)
        assert not generator.training
        assert not any(p.requires_grad for p in generator.parameters())
        assert torch.equal(generator(z), expected)
    assert (tmp_path / "best.pt").stat().st_size < (tmp_path / "last.pt").stat().st_size


def test_loading_draws_no_random_number(last: Path) -> None:
    before = torch.get_rng_state()
    load_generator(last)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_cannot_resume_from_weights_only(trainer: Trainer, tmp_path: Path) -> None:
    save_weights(tmp_path / "best.pt", trainer.weights)
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        load_checkpoint(tmp_path / "best.pt")


@examples(80)
@given(data=st.data())
def test_damage_is_never_read_as_weights(data: st.DataObject, last: Path, tmp_path: Path) -> None:
    content = bytearray(last.read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        del content[place:]
    damaged = tmp_path / "damaged.pt"
    damaged.write_bytes(content)
    try:
        found = load_checkpoint(damaged)
    except CheckpointError as error:
        assert str(damaged) in str(error)
    else:  # the flip fell between the zip's parts
        assert_same_state(found.trainer, load_checkpoint(last).trainer)


@pytest.mark.parametrize("place", [0.2, 0.5, 0.8])
def test_a_flipped_bit_in_the_weights_is_found(place: float, trainer: Trainer, last: Path) -> None:
    weights = trainer.generator_ema.state_dict()["layers.2.weight"].numpy().tobytes()
    content = bytearray(last.read_bytes())
    content[content.index(weights) + int(place * len(weights))] ^= 1
    damaged = last.with_name("flipped.pt")
    damaged.write_bytes(content)
    with pytest.raises(CheckpointError, match="damaged"):
        load_generator(damaged)


class _Harmful:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, ("harmed",)


def test_foreign_files_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({"weights": torch.zeros(3)}, "other.pt")
    torch.save([1, 2], "list.pt")
    torch.save({"format": "gantune checkpoint 1", "code": _Harmful()}, "code.pt")
    Path("pickle.pt").write_bytes(pickle.dumps(_Harmful()))
    Path("text.pt").write_text("hello")
    Path("empty.pt").touch()
    Path("folder.pt").mkdir()
    for path in [*Path().glob("*.pt"), Path("missing.pt")]:
        for load in (load_checkpoint, load_generator):
            with pytest.raises(CheckpointError, match=path.name):
                load(path)
    assert not Path("harmed").exists()


def test_a_full_disk_leaves_the_previous_file(
    trainer: Trainer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_checkpoint(tmp_path / "last.pt", take_checkpoint(trainer))
    former = (tmp_path / "last.pt").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_checkpoint(tmp_path / "last.pt", take_checkpoint(trainer))
    assert [path.name for path in tmp_path.iterdir()] == ["last.pt"]
    assert (tmp_path / "last.pt").read_bytes() == former
