"""``evaluate``."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.cli.conftest import Run

OWN = """
import torch


class Nan(torch.nn.Module):
    def forward(self, x):
        return torch.full((len(x), 4), float("nan"))


class Shape(torch.nn.Module):
    def forward(self, x):
        return torch.zeros(len(x), 4, 2)


class Late(torch.nn.Module):
    def forward(self, x):
        return x.float().flatten(1)[:, :4] / (0.0 if len(x) > 5 else 1.0)
"""
"""User networks; the last one fails only on more images than the trial call has."""


def levels(*shape: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Good and bad samples in the folder where the commands run."""
    for name, array in (
        ("good", levels(40, 16, 16)),
        ("more", levels(60, 16, 16)),
        ("one", levels(1, 16, 16)),
        ("colour", levels(40, 16, 16, 3)),
        ("five", levels(40, 16, 16, 5)),
        ("huge", levels(2, 1030, 1030)),
        ("range", levels(40, 16, 16) / 2),
        ("nan", np.full((40, 16, 16), np.nan)),
    ):
        np.save(tmp_path / f"{name}.npy", array)
    np.savez(tmp_path / "two.npz", a=levels(40, 16, 16), b=levels(30, 16, 16))
    for folder in ("empty", "mixed"):
        (tmp_path / folder).mkdir()
    for index in range(4):
        Image.fromarray(levels(16 + index, 16 + index)).save(tmp_path / f"mixed/{index}.png")
    for name in ("damaged.pt", "damaged.npz", "weights.pth"):
        (tmp_path / name).write_bytes(b"PK\x03\x04 and nothing more")
    (tmp_path / "own_networks.py").write_text(OWN)
    monkeypatch.syspath_prepend(str(tmp_path))


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("good.npy", "good.npy: images are scored against real ones; name those with --data"),
        ("gone --data digits", "gone: no such file or folder"),
        ("one.npy --data digits", "one.npy: holds one image; a score needs 2 or more"),
        ("empty --data digits", "empty: no image in it"),
        ("mixed --data digits", "1.png: 17x17 pixels, but"),
        ("five.npy --data digits", "five.npy has images of 5 channels"),
        ("colour.npy --data digits", "but digits: gray; score both as gray with --colour gray"),
        ("range.npy --data digits", "floats from 0 to 127.5; floats must lie in [0, 1] or [-1, 1]"),
        ("nan.npy --data digits", "nan.npy holds NaN; floats must lie in"),
        (
            "huge.npy --data digits",
            "huge.npy: gray images of 1030 pixels; 4 to 1024 pixels can",
        ),
        ("good.npy --data one.npy", "one.npy: holds 1 image; a distance needs 2 or more"),
        ("two.npz --data digits", "say which: --set data.key=NAME (--key NAME for the SAMPLES"),
        ("two.npz --data digits --key c", "no array 'c'; it holds a 40x16x16"),
        ("good.npy --data digits --key a", "good.npy: --key a names an array of an .npz file"),
        ("gone.pt --key a", "gone.pt: --key a names an array of an .npz file"),
        ("damaged.npz --data digits", "damaged.npz: damaged or truncated"),
        ("gone.pt", "gone.pt: no such file"),
        ("damaged.pt", "damaged.pt: damaged, or not a checkpoint"),
        ("dcgan#3", "dcgan: no such run"),
        ("good.npy --data gaussians:grid", "good.npy: gray images of 16 pixels, but gaussians"),
        ("good.npy --data digitz", "did you mean 'digits'?"),
        (
            "good.npy more.npy --data digits",
            "score 40 of each, chosen at random, with --samples 40",
        ),
        ("good.npy --data digits --samples 41", "good.npy: holds 40 images, and 41"),
        ("good.npy --data digits --extractor clasifier", "did you mean 'classifier'?"),
        ("good.npy --data digits --extractor points", "'points' does not suit 'digits'"),
        ("good.npy --data digits --extractor own_networks:Nan", "not finite"),
        ("good.npy --data digits --extractor own_networks:Late", "not finite"),
        ("good.npy --data digits --extractor own_networks:Shape", "gives the shape [5, 4, 2]"),
        ("good.npy --data digits --extractor inception --weights weights.pth", "inception"),
        ("good.npy --data digits --weights gone.pth", "inception"),
        ("good.npy --data digits --extractor random --resize antialias", "Inception network alone"),
        ("good.npy --data digits --held-out 0.6", "neither auto nor a share from 0 to 0.5"),
        ("good.npy --data digits --neighbours a.jpg", "ends in .png"),
        ("good.npy more.npy --data digits --neighbours a.png", "name only one"),
        ("good.npy --data digits --neighbours empty/../good.npy/a.png", "cannot be written"),
        ("good.npy --data digits --samples 1", "--samples"),
        ("good.npy --data digits --device tpu", "--device tpu: unknown"),
        ("good.npy --data digits --colour blue", "blue"),
    ],
)
def test_samples_that_cannot_be_scored_are_one_message(
    run: Run, arguments: str, message: str
) -> None:
    code, out, error = run("evaluate", *arguments.split())
    assert (code, out) == (2, "")
    assert message in error
    assert "Traceback" not in error


@pytest.mark.usefixtures("samples")
def test_a_score_goes_to_stdout_and_progress_to_stderr(run: Run) -> None:
    code, out, error = run("evaluate", "good.npy", "--data", "digits")
    assert code == 0
    assert out.startswith("good.npy: 40 samples beside 1,797 real images\n")
    assert "fid[classifier-digits]" in out and "lower" in out
    assert "scores by classifier-digits: " in error
    assert "scoring good.npy: 40 of 40\ncomparing good.npy with the real images\n" in error


@pytest.mark.usefixtures("samples")
def test_only_json_goes_to_stdout(run: Run, tmp_path: Path) -> None:
    import gantune

    code, out, _ = run("evaluate", "good.npy", "--data", "digits", "--json")
    one = json.loads(out)
    score = gantune.evaluate(tmp_path / "good.npy", "digits")
    assert (code, one.pop("samples")) == (0, "good.npy")
    beside = {"balance": score.balance, "warnings": []}
    assert one == json.loads(json.dumps(score.to_dict() | beside))
    names = ("good.npy", "more.npy", "--samples", "30")
    _, out, _ = run("evaluate", *names, "--data", "digits", "--json")
    several = json.loads(out)
    assert sorted(each["samples"] for each in several) == ["good.npy", "more.npy"]
    assert several[0]["value"] <= several[1]["value"]
    assert {each["protocol"]["generated"] for each in several} == {30}


@pytest.mark.usefixtures("samples")
def test_an_array_is_chosen_by_name(run: Run) -> None:
    named = ("two.npz", "--data", "digits", "--extractor", "random", "--key", "b")
    code, out, _ = run("evaluate", *named, "--json")
    assert (code, json.loads(out)["protocol"]["generated"]) == (0, 30)


@pytest.mark.usefixtures("samples")
@pytest.mark.parametrize(("setting", "real"), [("data.key=a", 40), ("data.key=b", 30)])
def test_the_array_of_real_images_is_set_by_name(run: Run, setting: str, real: int) -> None:
    against = ("good.npy", "--data", "two.npz", "--extractor", "random", "--json")
    code, out, _ = run("evaluate", *against, "--set", setting)
    assert (code, json.loads(out)["protocol"]["real"]) == (0, real)


@pytest.mark.usefixtures("samples")
def test_real_images_of_several_arrays_need_one_to_be_set(run: Run) -> None:
    code, _, error = run("evaluate", "good.npy", "--data", "two.npz")
    assert code == 2 and "data.key" in error
    code, _, error = run("evaluate", "good.npy", "--data", "two.npz", "--set", "data.key=c")
    assert code == 2 and "'c'" in error


@pytest.mark.usefixtures("samples")
def test_several_samples_are_a_table(run: Run) -> None:
    arguments = ("good.npy", "colour.npy", "--colour", "gray", "--data", "digits")
    code, out, _ = run("evaluate", *arguments)
    lines = out.splitlines()
    assert code == 0 and "lower is better" in lines[0]
    ranks = {line.split()[0]: line.split()[1] for line in lines if line[:1] in ("1", "2")}
    assert sorted(ranks.values()) == ["colour.npy", "good.npy"]


@pytest.mark.usefixtures("samples")
def test_a_share_held_out_and_neighbours_show_copies(run: Run, tmp_path: Path) -> None:
    from gantune.config import DataConfig
    from gantune.data import load_images

    learned = load_images(DataConfig(resolution=16, held_out=0.3)).array[:300]
    np.savez(tmp_path / "copies.npz", images=learned)
    shown = ("--held-out", "0.3", "--neighbours", "near.png")
    code, out, _ = run("evaluate", "copies.npz", "--data", "digits", *shown)
    assert code == 0 and "nearer to training images" in " ".join(out.split())
    with Image.open(tmp_path / "near.png") as picture:
        assert picture.width > 16 * 8


def test_a_checkpoint_is_found_by_file_folder_and_number(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gantune
    from gantune.config import make_config
    from tests.trial.runs import CONFIG

    (tmp_path / "space.yaml").write_text("objective: {samples: 64, rung_samples: 32}\ntrial: {}\n")
    outcome = gantune.train(make_config(CONFIG | {"kimg": 0.2}), out=tmp_path / "mine")
    assert outcome.score is not None
    for name in ("mine/best.pt", "mine"):
        code, out, _ = run("evaluate", name, "--json")
        assert code == 0 and json.loads(out)["value"] == outcome.score.value
    trial = tmp_path / "runs/toy/trials/0007"
    trial.mkdir(parents=True)
    (trial.parents[1] / "run.json").write_text("{}")
    code, _, error = run("evaluate", "toy#7")
    assert code == 2 and "has no checkpoint" in error
    code, _, error = run("evaluate", "runs/toy")
    assert code == 2 and "a whole run; name a trial of it" in error
    shutil.copy(tmp_path / "mine/best.pt", trial)
    code, out, _ = run("evaluate", "toy#7", "--data", "digits", "--samples", "64", "--json")
    tree = json.loads(out)
    assert (code, tree["samples"], tree["value"]) == (0, "toy#7", outcome.score.value)
