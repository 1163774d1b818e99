"""One training on two devices: what it writes, and how it ends when a process does."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from multiprocessing import Pipe
from pathlib import Path
from typing import Any

import pytest
import torch

import gantune
from gantune.config import make_config, make_external_config
from gantune.errors import DataError, DeviceError, RunError, TrainingError
from gantune.events import Observer
from gantune.gan.checkpoint import load_checkpoint
from gantune.run_folder.trial import TrialFolder
from gantune.trial import builtin, rank_group
from gantune.trial.rank_group import train_in_group
from gantune.trial.records import Outcome
from tests.trial.runs import CONFIG
from tests.tuner.searches import is_alive, worker_processes

TWO = "cpu:0,1"


@pytest.fixture(autouse=True)
def _few_samples(tmp_path: Path, forked_workers: None) -> None:
    (tmp_path / "space.yaml").write_text(
        "stability: off\nobjective: {samples: 64, rung_samples: 32}\ntrial: {}\n"
    )


class Listener(Observer):
    """Keeps all messages, and calls a function at the first score."""

    def __init__(self, at_score: Callable[[list[int]], None] = lambda ranks: None) -> None:
        self.lines: list[str] = []
        self.ranks: list[int] = []
        """Ids of the ranks' processes."""
        self._at_score = at_score

    def message(self, text: str) -> None:
        self.lines.append(text)
        if " kimg: " in text and not self.ranks:
            self.ranks = sorted(worker_processes(os.getpid()))
            self._at_score(self.ranks)


def numbers(folder: Path) -> list[dict[str, Any]]:
    """What ticks and scores say, without times and without counts, which rounding may change."""
    run = TrialFolder(folder)
    names = ("kimg", "d_loss", "g_loss", "d_real", "d_fake", "d_real_std", "spread")
    ticks = [{name: tick[name] for name in names} for tick in run.ticks()]
    return [*ticks, *({"value": line["value"]} for line in run.scores())]


def assert_same_run(folder: Path, other: Path) -> None:
    """Two runs, up to the rounding of single precision."""
    for one, another in zip(numbers(folder), numbers(other), strict=True):
        assert one == pytest.approx(another, rel=0.01, abs=1e-3)
    ours, theirs = (load_checkpoint(path / "last.pt").trainer["game"] for path in (folder, other))
    for name in ("generator", "discriminator", "generator_ema"):
        torch.testing.assert_close(ours[name], theirs[name], rtol=0.01, atol=1e-3)


@pytest.mark.integration
def test_two_processes_write_what_one_writes_and_either_resumes(tmp_path: Path) -> None:
    config, listener = make_config(CONFIG), Listener()
    one = gantune.train(config, out=tmp_path / "one", device="cpu")
    two = gantune.train(config, out=tmp_path / "two", device=TWO, observer=listener)
    assert (one.ending, one.kimg, one.step) == (two.ending, two.kimg, two.step)
    assert_same_run(tmp_path / "one", tmp_path / "two")
    names = [{file.name for file in (tmp_path / name).iterdir()} for name in ("one", "two")]
    assert names[0] == names[1]
    assert listener.lines[0] == "2 devices share each batch, 16 images each"
    assert len(listener.ranks) == 2 and not any(map(is_alive, listener.ranks))

    longer = config.replaced(kimg=1.2)
    gantune.train(longer, out=tmp_path / "one", device=TWO, resume=True)
    gantune.train(longer, out=tmp_path / "two", device="cpu", resume=True)
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.gpu
@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
def test_two_gpus_write_what_one_writes(tmp_path: Path) -> None:
    config = make_config(CONFIG)
    gantune.train(config, out=tmp_path / "one", device="cuda:0")
    gantune.train(config, out=tmp_path / "two", device="cuda:0,1")
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.integration
def test_two_processes_start_from_the_weights_of_another_run(tmp_path: Path) -> None:
    config = make_config(CONFIG).replaced(kimg=0.2)
    gantune.train(config, out=tmp_path / "first", device=TWO)
    start = tmp_path / "first/best.pt"
    for name, device in (("one", "cpu"), ("two", TWO)):
        gantune.train(config, out=tmp_path / name, device=device, start_from=start)
    assert_same_run(tmp_path / "one", tmp_path / "two")


@pytest.mark.integration
def test_a_verdict_stops_all(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").unlink()
    steep = {"optimizer": "sgd", "lr": 10.0}
    config = make_config(CONFIG | {"kimg": 100, "generator": steep, "discriminator": steep})
    listener = Listener()
    outcome = gantune.train(config, out=tmp_path / "run", device=TWO, observer=listener)
    assert outcome.verdict is not None and outcome.kimg < 100
    assert not worker_processes(os.getpid())


@pytest.mark.integration
@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_dies_ends_all_with_one_message(rank: int, tmp_path: Path) -> None:
    listener = Listener(lambda ranks: os.kill(ranks[rank], signal.SIGKILL))
    config = make_config(CONFIG | {"kimg": 8})
    with pytest.raises(TrainingError, match=rf"^rank {rank} on cpu died with exit code -9 "):
        gantune.train(config, out=tmp_path / "run", device=TWO, observer=listener)
    assert not any(map(is_alive, listener.ranks))


@pytest.mark.integration
def test_a_process_that_hangs_ends_all(tmp_path: Path) -> None:
    listener = Listener(lambda ranks: os.kill(ranks[1], signal.SIGSTOP))
    arguments = {
        "config": make_config(CONFIG | {"kimg": 8}),
        "out": tmp_path / "run",
        "resume": False,
        "start_from": None,
        "threads": None,
        "run": None,
    }
    with pytest.raises(TrainingError, match="no sign of life for 5s: one of them hangs"):
        train_in_group(["cpu", "cpu"], arguments, listener, silence=5.0)
    assert not any(map(is_alive, listener.ranks))


@pytest.fixture
def canned_members(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """What the ranks say instead of training; they have no process."""
    messages: list[object] = []

    class Member:
        def __init__(self, *_: object) -> None:
            self.connection, other = Pipe()
            other.send(messages[0])
            other.close()
            self.receive = self.connection.recv
            self.terminate = self.end = self.connection.close

        def send(self, message: object) -> None:
            """Drops it."""

    monkeypatch.setattr(rank_group, "_Member", Member)
    monkeypatch.setattr(rank_group, "_cause", lambda error, others: error)
    return messages


ENDED = Outcome("completed", 1.0)
ARGUMENTS = {"threads": None}


@pytest.mark.parametrize(("device", "count"), [("cuda", 1), ("cpu", 0)])
def test_several_gpus_say_that_steps_are_not_recorded(
    canned_members: list[object], device: str, count: int
) -> None:
    canned_members.append(ENDED)
    listener = Listener()
    devices = ["cpu", "cpu"] if device == "cpu" else ["cuda:0", "cuda:1"]
    assert train_in_group(devices, ARGUMENTS, listener) == ENDED
    told = [line for line in listener.lines if "are not recorded as CUDA graphs" in line]
    assert len(told) == count == len(listener.lines)
    assert all("may train slower" in line and "--device cuda:0" in line for line in told)


def test_an_error_about_a_gpu_is_explained(canned_members: list[object]) -> None:
    text = "rank 1 failed:\nCUDA error: CUDA-capable device(s) is/are busy or unavailable"
    canned_members.append(rank_group.Failed(TrainingError(text)))
    with pytest.raises(TrainingError) as error:
        train_in_group(["cuda:0", "cuda:1"], ARGUMENTS, Observer())
    assert str(error.value).startswith(f"{text}\nthe GPU is in exclusive mode")


@pytest.mark.integration
def test_an_error_of_one_process_is_told_and_ends_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError("of the second")

    monkeypatch.setattr(builtin, "follow", fail)
    with pytest.raises(TrainingError, match=r"^rank 1 on cpu failed:\n(?s:.*)of the second"):
        gantune.train(make_config(CONFIG), out=tmp_path / "run", device=TWO)
    assert not worker_processes(os.getpid())


@pytest.mark.integration
def test_memory_that_ends_on_one_device_is_an_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(builtin, "follow", fail)
    listener = Listener()
    outcome = gantune.train(
        make_config(CONFIG), out=tmp_path / "run", device=TWO, observer=listener
    )
    assert outcome.ending == "out_of_memory" and "batch_size" in outcome.error
    told = f"{tmp_path}/run out of memory at 0 kimg: "
    assert any(line.startswith(told) for line in listener.lines)
    assert not worker_processes(os.getpid())


@pytest.mark.integration
def test_an_interrupted_training_leaves_nothing_and_resumes(tmp_path: Path) -> None:
    def interrupt(ranks: list[int]) -> None:
        raise KeyboardInterrupt

    config, listener = make_config(CONFIG), Listener(interrupt)
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "broken", device=TWO, observer=listener)
    assert len(listener.ranks) == 2 and not any(map(is_alive, listener.ranks))
    with pytest.raises(RunError, match="--resume"):
        gantune.train(config, out=tmp_path / "broken", device=TWO)
    broken = gantune.train(config, out=tmp_path / "broken", device=TWO, resume=True)
    assert broken.ending == "completed"
    gantune.train(config, out=tmp_path / "whole", device=TWO)
    assert_same_run(tmp_path / "broken", tmp_path / "whole")


@pytest.mark.integration
def test_errors_of_the_user_are_those_of_one_device(tmp_path: Path) -> None:
    config = make_config(CONFIG | {"data": {"source": str(tmp_path / "none")}})
    with pytest.raises(DataError, match="none: no such file or folder"):
        gantune.train(config, out=tmp_path / "run", device=TWO)
    assert not (tmp_path / "run").exists()


def test_what_several_devices_cannot_train_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"^--device cpu:0,1,2: .* batch_size 32 equally"):
        gantune.train(make_config(CONFIG), out=tmp_path / "run", device="cpu:0,1,2")
    own = make_external_config("mine.py:train", {"kimg": 1})
    with pytest.raises(DeviceError, match="your own trainer"):
        gantune.train(own, out=tmp_path / "run", device=TWO)
