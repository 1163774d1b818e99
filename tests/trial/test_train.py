"""``gantune.train``: one config outside any search."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
import torch

import gantune
from gantune.config import TrialConfig, make_config
from gantune.errors import CheckpointError, RunError
from gantune.events import Observer
from gantune.gan import checkpoint
from gantune.gan.checkpoint import load_weights
from gantune.gan.trainer import Trainer
from gantune.gan.weights import Weights
from gantune.run_folder.trial import TrialFolder
from gantune.scores.text import held_out_text
from gantune.trial.checkpoints import config_changes
from tests.trial.runs import CONFIG

FEW = "objective: {samples: 64, rung_samples: 32}\ntrial: {}\n"
"""A space whose scores need few samples."""


@pytest.fixture(autouse=True)
def _few_samples(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(FEW)


class Listener(Observer):
    """Keeps all messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


class Stop(Observer):
    """Interrupts at the second score."""

    def __init__(self) -> None:
        self.left = 2

    def message(self, text: str) -> None:
        self.left -= "kimg:" in text
        if not self.left:
            raise KeyboardInterrupt


@pytest.mark.integration
def test_interrupted_training_resumes_with_the_same_result(tmp_path: Path) -> None:
    config = make_config(CONFIG)
    threads = torch.get_num_threads()
    whole = gantune.train(config, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "broken", observer=Stop())
    with pytest.raises(RunError, match="--resume"):
        gantune.train(config, out=tmp_path / "broken")
    broken = gantune.train(config, out=tmp_path / "broken", resume=True)
    assert broken.score == whole.score
    assert broken.step == whole.step
    assert torch.get_num_threads() == threads
    assert TrialFolder(tmp_path / "whole").last.exists()
    generator = gantune.load_generator(tmp_path / "whole/best.pt")
    assert generator(torch.randn(2, 8)).shape == (2, 1, 16, 16)


def test_a_training_uses_the_threads_that_it_is_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[int] = []

    class StopAtOnce(Observer):
        def progress(self, what: str, done: int, total: int, note: str = "") -> None:
            seen.append(torch.get_num_threads())
            raise KeyboardInterrupt

    monkeypatch.setattr("gantune.trial.train.available_cores", lambda: 2)
    monkeypatch.delenv("OMP_NUM_THREADS")
    monkeypatch.setattr("gantune.trial.train.SharedCores.look", lambda _: None)
    config = make_config(CONFIG)
    for threads in (1, None):
        with pytest.raises(KeyboardInterrupt):
            gantune.train(config, out=tmp_path / "run", threads=threads, observer=StopAtOnce())
    assert seen == [1, 2]


def test_a_training_tells_its_speed_and_the_time_that_is_left(tmp_path: Path) -> None:
    notes: list[str] = []

    class Listening(Observer):
        def progress(self, what: str, done: int, total: int, note: str = "") -> None:
            if what == "training, kimg":
                notes.append(note)

    config = make_config(CONFIG | {"tick_kimg": 0.05})
    gantune.train(config, out=tmp_path / "run", observer=Listening())
    *earlier, last = notes
    assert len(earlier) >= 2
    assert all(re.fullmatch(r"[\d,]+ images/s, \d+s left", note) for note in earlier)
    assert re.fullmatch(r"[\d,]+ images/s", last)


def test_training_stopped_before_its_first_score_may_start_again(tmp_path: Path) -> None:
    class StopAtOnce(Observer):
        def progress(self, what: str, done: int, total: int, note: str = "") -> None:
            if what.startswith("training"):
                raise KeyboardInterrupt

    config = make_config(CONFIG | {"tick_kimg": 0.05})
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "run", observer=StopAtOnce())
    assert gantune.train(config, out=tmp_path / "run").step == 25


def test_a_training_may_be_lengthened_but_not_changed(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text(f"stability: off\n{FEW}")
    gantune.train(make_config(CONFIG), out=tmp_path / "run")
    longer = gantune.train(make_config(CONFIG | {"kimg": 1.0}), out=tmp_path / "run", resume=True)
    assert longer.kimg == pytest.approx(1.0, abs=0.032)  # a batch
    wider = make_config(CONFIG | {"network": {"name": "dcgan", "width": 8, "latent": 8}})
    with pytest.raises(RunError, match=r"another config:\n  network.width: 4 then, 8 now\nresume"):
        gantune.train(wider, out=tmp_path / "run", resume=True)


@pytest.mark.integration
def test_messages_about_scores(tmp_path: Path) -> None:
    data = CONFIG["data"] | {"held_out": 0.2}
    told = Listener()
    outcome = gantune.train(make_config(CONFIG | {"data": data}), out=tmp_path / "a", observer=told)
    assert outcome.score is not None and outcome.score.held_out is not None
    (first, *_) = (line for line in told.lines if " kimg: " in line)
    assert re.fullmatch(r"0\.\d+ kimg: fid\[classifier-digits\] \S+, recall \d\.\d\d", first)
    ended, held_out = told.lines[-2:]
    assert "(sampling error " in ended and ", recall " in ended and ", coverage " in ended
    assert held_out == held_out_text(outcome.score.name, outcome.score.held_out)
    assert held_out in (tmp_path / "a/log.txt").read_text()
    assert TrialFolder(tmp_path / "a").neighbours.exists()
    plain = Listener()
    gantune.train(make_config(CONFIG), out=tmp_path / "b", observer=plain)
    assert not any("held-out" in line for line in plain.lines)


def test_run_scored_under_another_protocol_is_not_resumed(tmp_path: Path) -> None:
    config = make_config(CONFIG)
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "run", observer=Stop())
    folder = TrialFolder(tmp_path / "run")
    kept = (folder.path / "scores.jsonl").read_text()
    (tmp_path / "space.yaml").write_text(FEW.replace("rung_samples: 32", "rung_samples: 48"))
    with pytest.raises(RunError, match=r"another protocol(.|\n)*generated: 32 against 48"):
        gantune.train(config, out=folder.path, resume=True)
    (tmp_path / "space.yaml").write_text(FEW)
    (folder.path / "scores.jsonl").write_text(kept.replace('"recall"', '"moon"'))
    with pytest.raises(RunError, match="not in the format of this version"):
        gantune.train(config, out=folder.path, resume=True)
    (folder.path / "scores.jsonl").write_text(kept)
    assert gantune.train(config, out=folder.path, resume=True).ending == "completed"


def test_nothing_to_resume_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        gantune.train(make_config(CONFIG), out=tmp_path / "none", resume=True)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short training to start others from."""
    out = tmp_path_factory.mktemp("trained") / "run"
    (out.parent / "space.yaml").write_text(FEW)
    gantune.train(make_config(CONFIG), out=out)
    return out


def tensors(path: Path) -> dict[str, torch.Tensor]:
    weights = load_weights(path)
    return {
        f"{player}.{name}": tensor
        for player in ("generator", "discriminator", "generator_ema")
        for name, tensor in getattr(weights, player).items()
    }


@pytest.mark.integration
@pytest.mark.parametrize("name", ["best.pt", "last.pt"])
def test_a_training_starts_from_the_weights_of_another(
    tmp_path: Path, trained: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun: list[Trainer] = []
    real = Trainer.start_from

    def start_from(self: Trainer, weights: Weights) -> None:
        real(self, weights)
        assert (self.kimg, self.step) == (0, 0)
        begun.append(self)

    monkeypatch.setattr(Trainer, "start_from", start_from)
    config = make_config(CONFIG | {"seed": 7, "generator": {"lr": 1e-9}})
    outcome = gantune.train(config, out=tmp_path / "run", start_from=trained / name)
    assert outcome.kimg == 0.8 and outcome.step == 25
    assert len(begun) == 2  # once for the check, once for the training
    before, after = tensors(trained / name), tensors(tmp_path / "run/last.pt")
    kept = [key for key in before if key.startswith("generator.") and key.endswith("weight")]
    assert kept and all(torch.allclose(before[k], after[k], atol=1e-5) for k in kept)
    first = TrialFolder(tmp_path / "run").scores()[0]
    assert (first["rung"], first["kimg"]) == (0.0, 0.0)
    assert first["value"] < TrialFolder(trained).scores()[0]["value"]


@pytest.mark.integration
def test_the_record_says_where_a_training_started(tmp_path: Path, trained: Path) -> None:
    out = tmp_path / "run"
    gantune.train(make_config(CONFIG), out=out, start_from=trained / "last.pt")
    told = f"began with the weights of {trained / 'last.pt'}, trained for 0.8 kimg"
    assert (out / "config.yaml").read_text().startswith(f"# {told}\n")
    assert told in (out / "log.txt").read_text()
    assert gantune.load_config(out / "config.yaml").kimg == 0.8
    fresh = (trained / "config.yaml").read_text()
    assert not fresh.startswith("#") and not (trained / "start.json").exists()


@pytest.mark.integration
def test_training_from_other_weights_resumes_without_them(tmp_path: Path, trained: Path) -> None:
    start = tmp_path / "best.pt"
    shutil.copy(trained / "best.pt", start)
    config = make_config(CONFIG | {"seed": 3})
    gantune.train(config, out=tmp_path / "whole", start_from=start)
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "broken", start_from=start, observer=Stop())
    with pytest.raises(
        RunError, match=r"started with the weights of .*best\.pt.*not with those of"
    ):
        gantune.train(config, out=tmp_path / "broken", start_from=trained / "last.pt", resume=True)
    start.unlink()
    gantune.train(config, out=tmp_path / "broken", start_from=start, resume=True)
    whole, broken = (tensors(tmp_path / name / "last.pt") for name in ("whole", "broken"))
    assert all(torch.equal(whole[key], broken[key]) for key in whole)
    assert "# began with" in (tmp_path / "broken/config.yaml").read_text()


@pytest.mark.integration
def test_fresh_training_does_not_continue_from_other_weights(tmp_path: Path, trained: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        gantune.train(make_config(CONFIG), out=tmp_path / "run", observer=Stop())
    with pytest.raises(RunError, match="started with fresh weights, not with those of"):
        gantune.train(
            make_config(CONFIG), out=tmp_path / "run", start_from=trained / "best.pt", resume=True
        )


@pytest.mark.integration
def test_a_good_start_is_not_taken_for_a_stillborn_run(tmp_path: Path, trained: Path) -> None:
    rule = "{goal: 0.1, after: 0.2, shortest: 0.1}"
    text = f"stability: {{preset: 'off', stillborn: {rule}}}\n{FEW}"
    (tmp_path / "space.yaml").write_text(text)
    config = make_config(CONFIG | {"generator": {"lr": 1e-9}})
    outcome = gantune.train(config, out=tmp_path / "run", start_from=trained / "last.pt")
    assert outcome.ending == "completed"
    assert gantune.train(config, out=tmp_path / "fresh").ending == "stalled"
    log = (tmp_path / "fresh/log.txt").read_text()
    assert "try: generator.lr 1e-9 → " in log


@pytest.mark.integration
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"network": {"width": 8, "latent": 8}}, ("width 4", "width 8")),
        ({"data": {"source": "digits", "resolution": 32}}, ("16 pixels", "32 pixels")),
        ({"network": {"width": 4, "latent": 8, "conditional": True}}, ("10 classes",)),
    ],
)
def test_weights_of_other_networks_are_refused_before_anything_is_written(
    tmp_path: Path, trained: Path, changes: dict[str, object], words: tuple[str, ...]
) -> None:
    config = make_config(CONFIG | changes)
    with pytest.raises(CheckpointError) as caught:
        gantune.train(config, out=tmp_path / "run", start_from=trained / "best.pt")
    assert str(caught.value).startswith(f"{trained / 'best.pt'}: ")
    assert all(word in str(caught.value) for word in words)
    assert not (tmp_path / "run").exists()


def test_advice_and_device_fallbacks_are_announced(tmp_path: Path) -> None:
    class Listener(Stop):
        lines: ClassVar[list[str]] = []

        def message(self, text: str) -> None:
            self.lines.append(text)
            super().message(text)

    images = np.random.default_rng(0).integers(0, 256, (64, 16, 16), dtype=np.uint8)
    np.savez(tmp_path / "set.npz", images=images, labels=np.arange(64) % 2)
    data = CONFIG["data"] | {"source": str(tmp_path / "set.npz")}
    config = make_config(CONFIG | {"loss": "wgan", "precision": "fp16", "data": data})
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "run", device="cpu", observer=Listener())
    assert any("the 2 classes serve scores alone" in line for line in Listener.lines)
    assert any("nothing bounds the critic" in line for line in Listener.lines)
    assert any("fp16 needs a GPU" in line for line in Listener.lines)
    assert "fp16 needs a GPU" in (tmp_path / "run/log.txt").read_text()


def test_resume_never_starts_from_scratch(tmp_path: Path) -> None:
    config = make_config(CONFIG)
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "run", observer=Stop())
    folder = TrialFolder(tmp_path / "run")
    ticks = len(folder.ticks())
    content = torch.load(folder.last, weights_only=True)
    del content["trainer"]["game"]["step"], content["format"], content["sha256"]
    checkpoint._write(folder.last, content)
    folder.last_backup.unlink()  # otherwise training resumes from it
    with pytest.raises(CheckpointError, match="can only start from scratch"):
        gantune.train(config, out=tmp_path / "run", resume=True)
    assert len(folder.ticks()) == ticks > 0


def test_resume_message_names_the_place_or_says_that_nothing_is_left(tmp_path: Path) -> None:
    config = make_config(CONFIG)
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "run", observer=Stop())
    for text in (r"resuming from [\d.]+ kimg", r"nothing is left to train: it has its .* kimg"):
        heard = Listener()
        gantune.train(config, out=tmp_path / "run", resume=True, observer=heard)
        assert [line for line in heard.lines if re.fullmatch(text, line)]


@pytest.mark.parametrize(
    ("then", "now", "lines"),
    [
        ({}, {}, []),
        ({}, {"kimg": 9, "data": {"source": "/there", "class_names": ("a",)}}, []),
        ({}, {"data": {"held_out": 0.1}}, ["data.held_out: auto then, 0.1 now"]),
        ({"data": {"classes": 2}}, {"data": {"classes": 0}}, ["data.classes: 2 then, 0 now"]),
        ({}, {"data": {"key": "x"}}, ["data.key: not set then, x now"]),
        ({"loss": "wgan"}, {"loss": "hinge"}, ["loss: wgan then, hinge now"]),
        (
            {"generator": {"lr": 1e-4}, "batch_size": 8},
            {"generator": {"lr": 2e-3}, "batch_size": 16},
            ["batch_size: 8 then, 16 now", "generator.lr: 1e-4 then, 2e-3 now"],
        ),
        (
            {"penalties": {"r1": {"weight": 1.0}}},
            {},
            [
                "penalties.r1.weight: 1 then, not set now",
                "penalties.r1.interval: 16 then, not set now",
            ],
        ),
    ],
)
def test_each_setting_that_differs_is_told_in_words(
    then: dict[str, Any], now: dict[str, Any], lines: list[str]
) -> None:
    assert config_changes(make_config(now), make_config(then)) == lines


def test_images_at_a_new_place_are_the_same_and_other_images_are_not(tmp_path: Path) -> None:
    for place, seed in (("here", 0), ("other", 1)):
        (tmp_path / place).mkdir()
        images = np.random.default_rng(seed).integers(0, 256, (64, 16, 16), dtype=np.uint8)
        np.save(tmp_path / place / "images.npy", images)

    def config(place: str, kimg: float) -> TrialConfig:
        data = {"source": str(tmp_path / place / "images.npy")}
        return make_config(CONFIG | {"data": data, "kimg": kimg})

    gantune.train(config("here", 0.2), out=tmp_path / "run")
    said: list[str] = []

    class Listening(Observer):
        def progress(self, what: str, done: int, total: int, note: str = "") -> None:
            said.append(what)

    with pytest.raises(RunError, match="began with other images: as many images of the same cla"):
        gantune.train(config("other", 0.4), out=tmp_path / "run", resume=True, observer=Listening())
    np.savez(tmp_path / "other/images.npz", x=images, y=np.arange(64) % 2)
    data = {"source": str(tmp_path / "other/images.npz")}
    with pytest.raises(RunError, match=r"  images: classes then: none; now: 0(.|\n)*then, 2 now"):
        gantune.train(make_config(CONFIG | {"data": data}), out=tmp_path / "run", resume=True)
    assert "features of the real images" not in said
    (tmp_path / "here").rename(tmp_path / "there")
    outcome = gantune.train(config("there", 0.4), out=tmp_path / "run", resume=True)
    assert outcome.kimg == pytest.approx(0.4, abs=0.05)
    assert "64 images from" in (tmp_path / "run/data.json").read_text()
