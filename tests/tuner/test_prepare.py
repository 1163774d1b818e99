"""Checks and messages before a search trains anything."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from gantune.errors import DataError, SpaceError
from gantune.events import Observer
from gantune.space import shipped_spaces
from gantune.tuner.options import Options
from gantune.tuner.prepare import Search, prepare, reach_of
from tests.examples import in_integration

SPACE = """
trial:
  data: {source: digits, resolution: 16}
  network: {name: dcgan, width: 4}
  batch_size: {choices: [8, 16]}
  generator: {lr: {low: 1e-4, high: 1e-3, log: true}}
"""


class Listener(Observer):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    images = np.random.default_rng(0).integers(0, 256, (64, 16, 16), dtype=np.uint8)
    np.save(tmp_path / "unlabelled.npy", images)
    return path


def prepared(space: Path, *overrides: str, data: str | None = None) -> tuple[Search, list[str]]:
    listener = Listener()
    options = Options(device="cpu", workers=1, data=data, overrides=overrides)
    return prepare(space, options, listener), listener.lines


def test_conditional_is_settled_for_every_trial_by_the_labels(space: Path) -> None:
    search, lines = prepared(space, "network.conditional=auto")
    assert (search.config.network.conditional, search.config.data.classes) == (True, 10)
    assert lines == []
    search, _ = prepared(space, "network.conditional=auto", data="unlabelled.npy")
    assert (search.config.network.conditional, search.config.data.classes) == (False, 0)


@pytest.mark.parametrize(
    ("source", "override", "told"),
    [
        ("two.npz", "seed=0", True),
        ("two.npz", "network.conditional=false", True),
        ("two.npz", "network.conditional=auto", False),
        ("two.npz", "network.conditional={choices: [false, auto]}", False),
        ("one.npz", "seed=0", False),
        ("unlabelled.npy", "seed=0", False),
        ("digits", "seed=0", False),
    ],
)
def test_classes_that_no_trial_learns_are_told(
    space: Path, source: str, override: str, told: bool
) -> None:
    images = np.load(space.parent / "unlabelled.npy")
    for name, classes in (("one", 1), ("two", 2)):
        np.savez(space.parent / name, x=images, y=np.arange(len(images)) % classes)
    _, lines = prepared(space, override, data=source)
    sentence = "the 2 classes serve scores alone, as network.conditional is false; --set "
    assert any(line.startswith(sentence) for line in lines) is told


@pytest.mark.parametrize(
    "override",
    [
        "network.conditional=true",
        "network.conditional={choices: [false, true]}",
        "choose={kind: {a: {}, b: {network: {conditional: true}}}}",
    ],
)
def test_a_trial_that_could_need_labels_is_refused_before_the_first(
    space: Path, override: str
) -> None:
    assert prepared(space, override)[0].config.data.classes == 10
    with pytest.raises(DataError, match=r"network.conditional: true, but .*has no labels"):
        prepared(space, override, data="unlabelled.npy")


def test_a_wrong_number_of_classes_is_refused_and_other_data_has_its_own(space: Path) -> None:
    space.write_text(SPACE.replace("digits,", "digits, classes: 7,"))
    with pytest.raises(DataError, match=r"data\.classes: 7, but 'digits' has 10 classes"):
        prepared(space)
    assert prepared(space, data="unlabelled.npy")[0].config.data.classes == 0


@pytest.mark.parametrize(
    ("written", "images"),
    [
        ("batch_size: 64", 63),
        ("batch_size: 64", 2),
        ("batch_size: 4096", 1000),
        ("", 7),
        ("batch_size: {choices: [25, 50]}", 7),
        ("batch_size: {low: 4, high: 16}", 7),
        ("batch_size: 64\n  accumulation: 4", 63),
        ("batch_size: 64\n  accumulation: {choices: [1, 2, 4]}", 9),
        ("batch_size: 64\n  accumulation: 4", 7),
        ("choose: {size: {big: {batch_size: 32, accumulation: 4}, small: {batch_size: 4}}}", 13),
        ("choose: {size: {big: {batch_size: 32, accumulation: 4}, small: {batch_size: 16}}}", 5),
    ],
)
def test_advice_on_a_batch_above_the_images_works_when_followed(
    space: Path, written: str, images: int
) -> None:
    space.write_text(SPACE.replace("batch_size: {choices: [8, 16]}", written))
    np.save(space.parent / "few.npy", np.zeros((images, 16, 16), np.uint8))
    with pytest.raises(DataError, match=rf"few\.npy has only {images} images; lower it, ") as error:
        prepared(space, data="few.npy")
    advice = re.findall(r"--set (\S+)", str(error.value))
    assert advice
    search, _ = prepared(space, *advice, data="few.npy")
    assert search.space.largest("batch_size") >= min(images, 64) / 2


_OTHERS = sorted({*shipped_spaces()} - {"dcgan", "few_shot", "own_trainer", "mixture2d"})


@pytest.mark.parametrize(
    "recipe",
    ["dcgan", "few_shot", *in_integration(*_OTHERS)],
)
def test_advice_on_a_shipped_recipe_works_too(recipe: str, tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.zeros((5, 28, 28), np.uint8))
    listener, data = Listener(), str(tmp_path / "few.npy")
    options = Options(device="cpu", workers=1, data=data, out=tmp_path / "run")
    with pytest.raises((DataError, SpaceError)) as error:
        prepare(recipe, options, listener)
    advice = tuple(re.findall(r"--set (\S+)", str(error.value)))
    assert advice == ("batch_size=5",)
    options = replace(options, overrides=advice)
    search = prepare(recipe, options, listener)
    assert search.space.largest("batch_size") == 5
    np.savez(tmp_path / "few.npz", x=np.zeros((5, 28, 28), np.uint8), y=[0, 0, 0, 1, 1])
    listener, options = Listener(), replace(options, data=str(tmp_path / "few.npz"))
    prepare(recipe, options, listener)
    (told,) = [line for line in listener.lines if "classes serve scores alone" in line]
    options = replace(options, overrides=(*advice, *re.findall(r"--set (\S+)", told)))
    config = prepare(recipe, options, listener).config
    assert config.network.conditional is True


@pytest.mark.integration
def test_images_are_refused_where_a_space_is_of_points(tmp_path: Path) -> None:
    np.save(tmp_path / "few.npy", np.zeros((5, 28, 28), np.uint8))
    options = Options(device="cpu", data=str(tmp_path / "few.npy"), out=tmp_path / "run")
    with pytest.raises((DataError, SpaceError)):
        prepare("mixture2d", options, Listener())


def test_one_image_is_too_few_for_any_batch(space: Path) -> None:
    np.save(space.parent / "one.npy", np.zeros((1, 16, 16), np.uint8))
    with pytest.raises(DataError, match=r"one\.npy: one image is too few, .*add images") as error:
        prepared(space, data="one.npy")
    assert "--set" not in str(error.value)


def test_what_the_device_cannot_do_is_announced_once(space: Path) -> None:
    _, lines = prepared(space, "precision={choices: [fp16, fp32]}")
    assert len(lines) == 1 and "fp16 needs a GPU" in lines[0]
    assert prepared(space, "precision=fp32")[1] == []


def test_advice_is_announced(space: Path) -> None:
    _, lines = prepared(space, "loss={choices: [wgan, hinge]}")
    assert lines == [lines[0]] and lines[0].startswith("advice for some trials: loss wgan without")


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("kimg=6", "critic_dead (needs 10 ticks before the end of the run), generator_idle"),
        ("kimg={choices: [6, 400]}", "in a run of 6 kimg in ticks of 1 kimg"),
        ("kimg=400", ""),
        ("stability=off", ""),
        ("stability={preset: 'off', generator_idle: {shortest: 50}}", "needs a run of 50 kimg"),
    ],
)
def test_rules_that_cannot_act_in_its_shortest_trial_are_told(
    space: Path, override: str, told: str
) -> None:
    search, _ = prepared(space, "loss={choices: [hinge, wgan]}", override)
    lines = reach_of(search.space)
    assert told in " ".join(lines) and bool(lines) == bool(told)
    assert all(line.startswith("health: ") for line in lines)
