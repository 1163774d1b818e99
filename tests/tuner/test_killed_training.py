"""``gantune train`` killed with SIGKILL during training, and resumed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from gantune.gan.checkpoint import load_checkpoint, load_weights
from gantune.run_folder.trial import TrialFolder
from tests.forked import Forked

pytestmark = pytest.mark.integration

# Everything that has a state: both optimizers, schedule, average, penalty, augmentation.
CONFIG = {
    "data": {"source": "digits", "resolution": 16},
    "network": {"name": "dcgan", "width": 4, "latent": 8, "conditional": "auto"},
    "kimg": 2,
    "tick_kimg": 0.05,
    "batch_size": 16,
    "accumulation": 2,
    "penalties": {"lecam": {}, "r1": {"interval": 4}},
    "augment": {"translation": True, "probability": "adaptive", "speed": 5},
    "schedule": {"name": "cosine", "warmup": 1, "beta2_end": 0.9},
}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "mine.yaml").write_text(json.dumps(CONFIG))
    (tmp_path / "space.yaml").write_text(
        "stability: off\nobjective: {samples: 64, rung_samples: 32}\ntrial: {}\n"
    )
    return tmp_path


def begin(home: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """The command on one core, so that no thread waits for another."""
    core = min(os.sched_getaffinity(0))
    return Forked(
        [sys.executable, "-m", "gantune", "train", *arguments],
        cwd=home,
        preexec_fn=lambda: os.sched_setaffinity(0, {core}),
    )


def finish(home: Path, *arguments: str) -> TrialFolder:
    process = begin(home, *arguments)
    assert process.wait(120) == 0
    return TrialFolder(home / arguments[-1])


def kill(home: Path, *arguments: str) -> None:
    """Ends the command between two checkpoints, after the first."""
    process, folder = begin(home, *arguments), TrialFolder(home / arguments[-1])
    end = time.monotonic() + 120
    while True:
        tick = folder.last_tick() if folder.last.exists() else None
        if tick is not None and tick["kimg"] % 0.2 > 0.06:
            break
        assert process.poll() is None and time.monotonic() < end
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    reached, kept = folder.last_tick(), load_checkpoint(folder.last).kimg
    assert reached is not None and kept < reached["kimg"] < CONFIG["kimg"]


def timeless(ticks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**tick, "seconds": 0.0, "images_per_second": 0.0} for tick in ticks]


def same(one: Any, other: Any) -> bool:
    """Whether two states are equal to the last bit, except for their times."""
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        keys = one.keys() - {"seconds"}
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in keys)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def assert_same(one: TrialFolder, other: TrialFolder) -> None:
    assert timeless(one.ticks()) == timeless(other.ticks())
    last = [load_checkpoint(folder.last) for folder in (one, other)]
    assert last[0].config == last[1].config
    assert same(last[0].trainer, last[1].trainer)
    best = [load_weights(folder.best) for folder in (one, other)]
    assert same(vars(best[0]), vars(best[1]))


def test_killed_training_resumes_bit_for_bit(home: Path) -> None:
    whole = finish(home, "mine.yaml", "--out", "whole")
    kill(home, "mine.yaml", "--out", "broken")
    broken = finish(home, "mine.yaml", "--resume", "--out", "broken")
    assert whole.ticks()[-1]["kimg"] == CONFIG["kimg"]
    assert_same(whole, broken)


def test_killed_training_from_other_weights_resumes_by_the_same_command(home: Path) -> None:
    first = finish(home, "mine.yaml", "--kimg", "0.4", "--out", "first")
    shutil.copy(first.best, home / "start.pt")
    command = ("--from", "start.pt", "--kimg", "2", "--out")
    whole = finish(home, *command, "whole")
    kill(home, *command, "broken")
    (home / "start.pt").unlink()
    broken = finish(home, "--resume", *command, "broken")
    assert_same(whole, broken)
    assert "began with the weights of" in (broken.path / "config.yaml").read_text()
    assert not same(vars(load_weights(whole.best)), vars(load_weights(first.best)))
