"""The commands train and sample."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from gantune.cli.train import find_class
from gantune.config import TrialConfig, make_config
from gantune.errors import RunError, TrainingError
from gantune.run_folder.run import RunFolder
from tests.cli.conftest import Run
from tests.data.making import noise
from tests.report.factory import outcome


@pytest.mark.parametrize(("ending", "code"), [("completed", 0), ("collapsed", 1)])
def test_train_trains_beside_its_config(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, ending: Any, code: int
) -> None:
    from gantune.trial import train as training

    given: dict[str, Any] = {}

    def train(config: Any, **options: Any) -> Any:
        given.update(options, config=config)
        return outcome(ending)

    monkeypatch.setattr(training, "train_config", train)
    monkeypatch.setattr(
        "gantune.cli.train.keep_freed_memory", lambda: given.update(keeps_memory=True)
    )
    (tmp_path / "mine.yaml").write_text("seed: 5\nkimg: 4\n")
    ended, text, _ = run("train", "mine.yaml", "--kimg", "9", "--resume", "--threads", "1")
    assert ended == code and given["threads"] == 1 and given["keeps_memory"]
    assert (given["out"], given["resume"], given["device"]) == (Path("mine"), True, "auto")
    assert (given["config"].seed, given["config"].kimg) == (5, 9)
    assert ("gantune sample mine/best.pt" in text) == (code == 0)
    assert ("holds: gantune stabilize mine.yaml --kimg 9.0\n" in text) == (code == 1)
    assert "neighbours.png" not in text
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/neighbours.png").touch()
    assert ("training images: mine/neighbours.png" in run("train", "mine.yaml")[1]) == (code == 0)


def test_an_interrupted_training_says_how_to_resume(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gantune.trial import train as training

    def train(config: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train_config", train)
    (tmp_path / "mine.yaml").write_text("seed: 5\n")
    code, text, _ = run("train", "mine.yaml")
    assert code == 130 and "stopped; there is no checkpoint yet" in text
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/last.pt").touch()
    code, text, _ = run("train", "mine.yaml", "--kimg", "400")
    assert code == 130 and "resume with: gantune train mine.yaml --kimg 400 --resume" in text
    code, _, error = run("train", "mine.yaml", "--kimg", "-1")
    assert code == 2 and "kimg" in error


def test_a_training_that_a_scheduler_ends_says_how_to_resume(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gantune.trial import train as training

    def train(config: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)

    monkeypatch.setattr(training, "train_config", train)
    (tmp_path / "mine.yaml").write_text("seed: 5\n")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/last.pt").touch()
    code, text, _ = run("train", "mine.yaml")
    assert code == 143 and text == "stopped; resume with: gantune train mine.yaml --resume\n"


def test_a_training_on_several_devices_that_fails_says_how_to_resume(
    run: Run, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from gantune.trial import train as training

    def train(config: Any, **options: Any) -> Any:
        raise TrainingError("rank 1 on cuda:1 died")

    monkeypatch.setattr(training, "train_config", train)
    (tmp_path / "mine.yaml").write_text("seed: 5\n")
    command = ("train", "mine.yaml", "--device", "cuda:0,1")
    assert run(*command)[::2] == (
        1,
        "rank 1 on cuda:1 died\nthere is no checkpoint yet, so the next start is from scratch\n",
    )
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/last.pt").touch()
    assert f"\nresume with: gantune {' '.join(command)} --resume\n" in run(*command)[2]


@pytest.mark.integration
def test_two_processes_share_each_batch(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(json.dumps(TINY | {"kimg": 0.2}))
    code, _, error = run("train", "mine.yaml", "--device", "cpu:0,1,2")
    assert code == 2 and error.startswith("--device cpu:0,1,2: 3 devices cannot share batch_size")
    code, text, _ = run("train", "mine.yaml", "--device", "cpu:0,1")
    assert code == 0 and "2 devices share each batch, 8 images each" in text
    assert "gantune sample mine/best.pt" in text and (tmp_path / "mine/best.pt").exists()


def test_no_training_runs_on_no_thread(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("seed: 5\n")
    code, _, error = run("train", "mine.yaml", "--threads", "0")
    assert code == 2 and "--threads 0: give 1" in error
    assert not (tmp_path / "mine").exists()


TINY = {"network": {"width": 4, "latent": 8}, "data": {"resolution": 16}, "batch_size": 16}


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """The arguments that the command passes to the training."""
    from gantune.trial import train as training

    told: dict[str, Any] = {}

    def train(config: TrialConfig, **options: Any) -> Any:
        told.update(options, config=config)
        return outcome("completed")

    monkeypatch.setattr(training, "train_config", train)
    return told


def save(
    path: Path, kimg: float = 4.0, whole: bool = False, of: Mapping[str, Any] = TINY
) -> TrialConfig:
    """Writes a checkpoint of untrained networks; returns its config."""
    from gantune.data import load_images, resolved
    from gantune.gan.checkpoint import save_checkpoint, save_weights, take_checkpoint
    from gantune.gan.trainer import Trainer

    config = make_config({**of, "kimg": kimg})
    images = load_images(config.data)
    trainer = Trainer(resolved(config, images), images, "cpu")
    path.parent.mkdir(parents=True, exist_ok=True)
    if whole:
        save_checkpoint(path, take_checkpoint(trainer))
    else:
        save_weights(path, trainer.weights)
    return trainer.config


def test_from_a_trial_trains_its_own_config_in_a_folder_of_the_run(
    run: Run, canned: RunFolder, given: dict[str, Any]
) -> None:
    checkpoint = canned.trial("trials/0003").best
    own = save(checkpoint)
    for name in ("dcgan#3", "runs/dcgan#3", str(checkpoint.parent), str(checkpoint)):
        given.clear()
        assert run("train", "--from", name)[0] == 0
        assert (given["config"], given["start_from"]) == (own, checkpoint)
        assert given["out"] == canned.path / "from-trials-0003"
        assert given["run"] == canned.path  # so that scores compare with the search's
    assert run("train", "--from", "dcgan#3", "--kimg", "9", "--out", "mine")[0] == 0
    assert (given["config"].kimg, given["out"]) == (9, Path("mine"))


def test_from_a_checkpoint_with_another_config(
    run: Run, tmp_path: Path, given: dict[str, Any]
) -> None:
    save(tmp_path / "other/last.pt", whole=True)
    (tmp_path / "mine.yaml").write_text("seed: 5\n")
    assert run("train", "mine.yaml", "--from", "other/last.pt")[0] == 0
    assert (given["config"].seed, given["out"]) == (5, Path("mine"))
    assert given["start_from"] == Path("other/last.pt")


def test_a_training_resumes_with_its_own_config_without_its_start(
    run: Run, tmp_path: Path, canned: RunFolder, given: dict[str, Any]
) -> None:
    command = ("train", "--from", "dcgan#3", "--resume")
    code, _, error = run(*command)
    assert code == 2 and error == "runs/dcgan/from-trials-0003/last.pt: no such file\n"
    own = save(tmp_path / canned.path / "from-trials-0003/last.pt", kimg=6, whole=True)
    assert run(*command)[0] == 0
    assert (given["config"], given["resume"]) == (own, True)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["train"], "a CONFIG is needed, or a checkpoint to start --from"),
        (["train", "--from", "dcgan#4"], "dcgan#4: has no checkpoint"),
        (["train", "--from", "dcgan#99"], "has no trial 99"),
        (["train", "--from", "runs/dcgan"], "a whole run; name a trial of it"),
        (["train", "--from", "missing.pt"], "missing.pt: no such file"),
        (["train", "--from", "runs/dcgan/run.json"], "not a checkpoint of gantune"),
    ],
)
def test_a_missing_start_is_one_message_and_exit_2(
    run: Run, canned: RunFolder, tmp_path: Path, arguments: list[str], message: str
) -> None:
    canned.info.write_text("{}")
    before = sorted(tmp_path.rglob("*"))
    code, text, error = run(*arguments)
    assert code == 2 and message in error and "Traceback" not in error and text == ""
    assert sorted(tmp_path.rglob("*")) == before


def test_weights_of_other_networks_are_refused_with_both_named(run: Run, tmp_path: Path) -> None:
    save(tmp_path / "other/best.pt")
    (tmp_path / "mine.yaml").write_text("network: {width: 8, latent: 8}\ndata: {resolution: 16}\n")
    code, _, error = run("train", "mine.yaml", "--from", "other/best.pt")
    assert code == 2 and error.startswith("other/best.pt: its weights are of")
    assert "width 4" in error and "width 8" in error
    assert not (tmp_path / "mine").exists()


Checkpoint = Callable[..., Path]


@pytest.fixture
def checkpoint(tmp_path: Path) -> Checkpoint:
    """Writes ``best.pt`` of an untrained generator."""
    from gantune.config import make_config
    from gantune.data import load_images, resolved
    from gantune.gan.checkpoint import save_weights
    from gantune.gan.trainer import Trainer

    def write(**network: object) -> Path:
        config = make_config({"network": {"width": 4, **network}, "data": {"resolution": 16}})
        images = load_images(config.data)
        trainer = Trainer(resolved(config, images), images, "cpu")
        save_weights(tmp_path / "best.pt", trainer.weights)
        return tmp_path / "best.pt"

    return write


def test_samples_follow_the_seed(run: Run, tmp_path: Path, checkpoint: Checkpoint) -> None:
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
    code, text, _ = run("sample", "best.pt", "-n", "5", "--class", "3")
    assert (code, text) == (0, "wrote grid.png: 5 samples of class 3\n")
    code, text, _ = run("sample", "best.pt", "-n", "5")
    assert (code, text) == (0, "wrote grid.png\n")
    chosen, free = drawn
    assert chosen is not None and chosen.tolist() == [3] * 5
    assert chosen.dtype == torch.int64 and free is None


@pytest.mark.parametrize(
    ("wanted", "told"), [("owl", "class 2, owl"), ("2", "class 2, owl"), ("cat", "class 0, cat")]
)
def test_classes_of_an_npz_are_drawn_by_their_names(
    run: Run, tmp_path: Path, wanted: str, told: str
) -> None:
    labels, names = np.arange(12) % 3, np.array(["cat", "dog", "owl"])
    np.savez(tmp_path / "pets.npz", images=noise(12, 16, 16), labels=labels, label_names=names)
    data = {"source": str(tmp_path / "pets.npz"), "resolution": 16}
    network = {"width": 4, "latent": 8, "conditional": "auto"}
    save(tmp_path / "best.pt", of={"data": data, "network": network, "batch_size": 4})
    code, text, _ = run("sample", "best.pt", "-n", "2", "--class", wanted)
    assert (code, text) == (0, f"wrote grid.png: 2 samples of {told}\n")
    code, _, error = run("sample", "best.pt", "--class", "cow")
    assert code == 2 and "the classes are 0 to 2: cat, dog, owl" in error


def test_a_missing_class_is_refused(run: Run, tmp_path: Path, checkpoint: Checkpoint) -> None:
    checkpoint(conditional=True)
    assert run("sample", "best.pt", "--class", "9")[0] == 0
    (tmp_path / "grid.png").unlink()
    code, _, error = run("sample", "best.pt", "--class", "10")
    assert code == 2 and error.startswith("--class 10: the classes are 0 to 9")
    checkpoint(conditional=False)
    code, _, error = run("sample", "best.pt", "--class", "0")
    assert code == 2 and "trained without classes" in error
    assert run("sample", "best.pt", "--class", "-1")[0] == 2
    assert not (tmp_path / "grid.png").exists()


@pytest.mark.parametrize(
    ("wanted", "label"), [("dog", 1), ("2", 2), ("10", 0), ("1", 1), ("owl", None), ("3", None)]
)
def test_a_class_is_named_or_numbered(wanted: str, label: int | None) -> None:
    names = ("10", "dog", "cat")
    if label is not None:
        assert find_class(wanted, 3, names) == label
        return
    with pytest.raises(RunError, match=rf"--class {wanted}: the classes are 0 to 2: 10, dog, cat"):
        find_class(wanted, 3, names)


@pytest.mark.parametrize(
    ("arguments", "source"),
    [
        (("dcgan#3",), "new"),
        (("--from", "dcgan#3"), "new"),
        (("dcgan#3", "--data", "other"), "other"),
        (("mine.yaml",), "mine"),
        (("mine.yaml", "--from", "dcgan#3"), "mine"),
        (("mine.yaml", "--resume"), "later"),
        (("there.yaml", "--resume"), "there"),
        (("digits.yaml", "--resume"), "digits"),
    ],
)
def test_the_images_of_a_run_are_where_it_had_them_last(
    run: Run,
    canned: RunFolder,
    given: dict[str, Any],
    tmp_path: Path,
    arguments: tuple[str, ...],
    source: str,
) -> None:
    """``search --data new`` has written ``new`` to run.json; the trials' configs keep their own."""

    def about(place: str) -> dict[str, Any]:
        source = str(tmp_path / place)
        return {"found": "", "source": source, "images": 9, "content_hash": "d", "classes": {}}

    info = json.loads(canned.info.read_text()) | {"data": about("new")}
    canned.info.write_text(json.dumps(info))
    save(canned.trial("trials/0003").best)
    for name in ("mine", "there", "digits"):
        source_of = "digits" if name == "digits" else name
        (tmp_path / f"{name}.yaml").write_text(f"data: {{source: {source_of}}}\n")
        (tmp_path / name).mkdir()
        (tmp_path / name / "data.json").write_text(json.dumps(about("later")))
    (tmp_path / "mine").rename(tmp_path / "elsewhere")
    out = ("--out", "elsewhere") if "mine.yaml" in arguments else ()
    assert run("train", *arguments, *out)[0] == 0
    expected = source if source == "digits" else str(tmp_path / source)
    assert given["config"].data.source == expected


def test_images_that_moved_are_named_by_file_and_key(run: Run, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("data: {source: gone}\nbatch_size: 2\n")
    code, _, error = run("train", "mine.yaml")
    assert code == 2
    assert "mine.yaml: data.source: " in error and "no such file" in error
    assert "name their new place with --data" in error
    code, _, error = run("train", "mine.yaml", "--data", "elsewhere")
    assert code == 2 and error.startswith(f"{tmp_path / 'elsewhere'}: no such file")
    assert "--data" not in error
    (tmp_path / "space.yaml").write_text(
        "study: s\ntrial: {data: {source: gone}, generator: "
        "{lr: {low: 1e-4, high: 1e-3, log: true}}}\n"
    )
    for option in (("--data", "elsewhere"), ("--set", "data.source=elsewhere")):
        code, _, error = run("search", "space.yaml", "--dry-run", *option)
        assert code == 2 and error.startswith(f"{tmp_path / 'elsewhere'}: no such file")
        assert "--data" not in error and error.count("no such file") == 1
    code, _, error = run("search", "space.yaml", "--dry-run")
    assert code == 2 and "space.yaml:" in error and "data.source" in error
    assert "name their new place with --data" in error
