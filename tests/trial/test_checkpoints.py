"""gantune's own checkpoint store: it writes in the background what the run was at a rung."""

from __future__ import annotations

import errno
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from gantune.config import make_config
from gantune.data import ImageSet
from gantune.errors import CheckpointError
from gantune.gan.checkpoint import checksum, load_checkpoint, load_weights
from gantune.gan.trainer import Trainer
from gantune.io.files import write_bytes
from gantune.run_folder.trial import TrialFolder
from gantune.trial.checkpoints import StateDictStore, newest_checkpoint
from tests.trial.runs import CONFIG

WRITE = "gantune.gan.checkpoint.write_bytes"


@pytest.fixture
def trainer(images: ImageSet) -> Trainer:
    return Trainer(make_config(CONFIG), images, "cpu")


@pytest.fixture
def store(tmp_path: Path, trainer: Trainer) -> StateDictStore:
    return StateDictStore(TrialFolder(tmp_path), trainer)


def test_training_goes_on_while_the_state_of_the_rung_is_written(
    tmp_path: Path, trainer: Trainer, store: StateDictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    may_write = threading.Event()

    def slowly(*arguments: Any) -> None:
        assert may_write.wait(10)
        write_bytes(*arguments)

    ticks = iter(trainer)
    next(ticks)
    store.save(store.snapshot(store.position()), is_best=False)
    monkeypatch.setattr(WRITE, slowly)
    next(ticks)
    state, weights = checksum(trainer.state_dict()), checksum(trainer.weights.generator_ema)
    store.save(store.snapshot(store.position()), is_best=True)
    kimg = trainer.kimg
    next(ticks)
    assert load_checkpoint(tmp_path / "last.pt").kimg < kimg
    assert not (tmp_path / "best.pt").exists()
    may_write.set()
    store.flush()
    last, best = load_checkpoint(tmp_path / "last.pt"), load_weights(tmp_path / "best.pt")
    assert (last.kimg, checksum(last.trainer)) == (kimg, state)
    assert (best.kimg, checksum(best.generator_ema)) == (kimg, weights)


def test_the_first_state_is_on_the_disk_before_its_rung_is_told(
    tmp_path: Path, store: StateDictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slowly(*arguments: Any) -> None:
        time.sleep(0.1)
        write_bytes(*arguments)

    monkeypatch.setattr(WRITE, slowly)
    store.save(store.snapshot(store.position()), is_best=False)
    assert load_checkpoint(tmp_path / "last.pt").kimg == 0


def test_where_there_is_no_state_the_error_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt: no such file, .*; leave --resume out$"):
        newest_checkpoint(TrialFolder(tmp_path))


def test_a_full_disk_is_told_at_the_next_rung_or_at_the_end(
    tmp_path: Path, store: StateDictStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    snapshot = store.snapshot(store.position())
    store.save(snapshot, is_best=False)
    monkeypatch.setattr(WRITE, full)
    store.save(snapshot, is_best=False)
    with pytest.raises(OSError, match="No space left"):
        store.save(snapshot, is_best=False)
    store.save(snapshot, is_best=False)
    with pytest.raises(OSError, match="No space left"):
        store.flush()
    store.flush()  # it was told
