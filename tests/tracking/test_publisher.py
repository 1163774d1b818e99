"""One contract for all trackers: what a run folder has arrives there, each thing once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from gantune.errors import RunError
from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.space.settings import TrackerName
from gantune.tracking import tracker as trackers
from gantune.tracking.background import publishing
from gantune.tracking.publisher import Publisher
from gantune.tracking.tracker import TRACKERS
from tests.tracking.readers import READERS, Stored

pytestmark = pytest.mark.integration

CONFIG = "loss: hinge\nkimg: 4.0\ngenerator:\n  lr: 0.0002\n"
SCORE = {"name": "fid[random]", "kid": None, "precision": 0.5, "recall": 0.25, "density": None}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    (tmp_path / "run").mkdir()
    return RunFolder(tmp_path / "run")


def train(folder: RunFolder, name: str, *places: float) -> TrialFolder:
    """Writes what a run leaves: a tick, a score and a picture at each kimg."""
    trial = folder.trial(name)
    trial.path.mkdir(parents=True, exist_ok=True)
    trial.config.write_text(CONFIG)
    for kimg in places:
        trial.add_tick(
            {"kimg": kimg, "d_loss": 1 + kimg, "g_loss": float("nan"), "step": 10 * kimg}
        )
        protocol = {"generated": 64}
        line = {"kimg": kimg, "rung": kimg / 4, "value": 100 - kimg, "protocol": protocol}
        trial.add_score({**line, **SCORE, "coverage": 0.5})
        Image.new("RGB", (8, 8)).save(trial.grid(kimg))
    return trial


def end(trial: TrialFolder, ending: str, sentence: str = "") -> None:
    verdict = {"sentence": sentence} if sentence else None
    tree = {"ending": ending, "kimg": 4.0, "score": {"value": 96.0}, "verdict": verdict}
    trial.verdict.write_text(json.dumps({**tree, "seconds": 3.0}))


def publish(folder: RunFolder, name: TrackerName) -> dict[str, Stored]:
    publisher = Publisher(folder, "mine", [name])
    publisher.publish()
    publisher.close()
    assert not publisher.problems
    return READERS[name](folder.path)


@pytest.mark.parametrize("name", TRACKERS)
def test_a_search_arrives_run_by_run(folder: RunFolder, name: TrackerName) -> None:
    end(train(folder, "trials/0000", 1, 2, 4), "completed")
    end(train(folder, "trials/0001", 1), "collapsed", "D has won at 1 kimg")
    train(folder, "finalists/0000", 1)
    found = publish(folder, name)
    assert sorted(found) == ["finalists/0000", "trials/0000", "trials/0001"]
    first, second = found["trials/0000"], found["trials/0001"]
    assert first.numbers["d_loss"] == [(1, 2), (2, 3), (4, 5)]
    assert first.numbers["recall"] == [(1, 0.25), (2, 0.25), (4, 0.25)]
    scores = first.numbers.get("fid[random]") or first.numbers["fid_random_"]
    assert scores == [(1, 99), (2, 98), (4, 96)]
    assert "g_loss" not in first.numbers  # it was not finite
    assert first.pictures == 3
    assert first.config["loss"] == "hinge" and float(first.config["generator.lr"]) == 0.0002
    assert "completed" in first.texts
    assert "collapsed" in second.texts and "D has won at 1 kimg" in second.texts


@pytest.mark.parametrize("name", TRACKERS)
def test_what_was_sent_is_not_sent_again(folder: RunFolder, name: TrackerName) -> None:
    """A later process goes on with the same runs, as after a kill."""
    trial = train(folder, "trials/0000", 1, 2)
    publish(folder, name)
    train(folder, "trials/0000", 4)
    end(trial, "completed")
    publish(folder, name)
    found = publish(folder, name)
    assert [*found] == ["trials/0000"]
    assert found["trials/0000"].numbers["d_loss"] == [(1, 2), (2, 3), (4, 5)]
    assert found["trials/0000"].pictures == 3


def test_a_tracker_that_fails_is_left_out(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    end(train(folder, "trials/0000", 1), "completed")
    publisher = Publisher(folder, "mine", ["mlflow", "tensorboard"])
    publisher.publish()
    publisher.close()
    assert [*publisher.problems] == ["mlflow"]
    assert [*READERS["tensorboard"](folder.path)] == ["trials/0000"]


def test_a_search_publishes_in_a_process_of_its_own(folder: RunFolder) -> None:
    messages: list[str] = []
    with publishing(folder, "mine", ["tensorboard"], messages.append):
        end(train(folder, "trials/0000", 1, 2), "completed")
    found = READERS["tensorboard"](folder.path)
    assert found["trials/0000"].numbers["d_loss"] == [(1, 2), (2, 3)]
    assert messages == [f"tensorboard: tensorboard --logdir {folder.path / 'tensorboard'}"]


def test_a_search_is_told_once_that_a_tracker_failed(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "nonsense://nowhere")
    messages: list[str] = []
    with publishing(folder, "mine", ["mlflow"], messages.append):
        train(folder, "trials/0000", 1)
    assert len(messages) == 1
    assert messages[0].startswith("tracking failed, and the search goes on: mlflow: ")


def test_nothing_is_left_where_the_search_is_killed(folder: RunFolder) -> None:
    train(folder, "trials/0000", 1)
    text = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from gantune.run_folder.run import RunFolder\n"
        "from gantune.tracking.background import publishing\n"
        f"with publishing(RunFolder(Path({str(folder.path)!r})), 'mine', ['tensorboard'], print):\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", text], check=False, env=dict(os.environ))
    deadline = 200
    while not (folder.path / "tracked.json").exists() and deadline:
        deadline -= 1
        subprocess.run(["sleep", "0.1"], check=True)
    assert READERS["tensorboard"](folder.path)["trials/0000"].numbers["d_loss"] == [(1, 2)]


def test_a_library_that_is_missing_is_named(
    folder: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trackers, "find_spec", lambda name: None)
    with pytest.raises(RunError, match=r"wandb needs its library: pip install 'gantune\[wandb\]'"):
        Publisher(folder, "mine", ["wandb"])
