"""``gantune.train``: one config outside any search."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import gantune
from gantune.config import make_config
from gantune.errors import CheckpointError, RunError
from gantune.search.folder import TrialFolder
from gantune.search.state import Watcher
from tests.search.test_session import CONFIG


class Stop(Watcher):
    """Interrupts at the second score."""

    def __init__(self) -> None:
        self.left = 2

    def say(self, text: str) -> None:
        self.left -= "kimg:" in text
        if not self.left:
            raise KeyboardInterrupt


def test_an_interrupted_training_goes_on_to_the_same_end(tmp_path: Path) -> None:
    config = make_config(CONFIG)
    threads = torch.get_num_threads()
    whole = gantune.train(config, out=tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "broken", watcher=Stop())
    with pytest.raises(RunError, match="--resume"):
        gantune.train(config, out=tmp_path / "broken")
    broken = gantune.train(config, out=tmp_path / "broken", resume=True)
    assert broken.score == whole.score
    assert broken.step == whole.step
    assert torch.get_num_threads() == threads
    assert TrialFolder(tmp_path / "whole").last.exists()
    generator = gantune.load_generator(tmp_path / "whole/best.pt")
    assert generator(torch.randn(2, 8)).shape == (2, 1, 16, 16)


def test_a_training_stopped_before_its_first_score_may_begin_again(tmp_path: Path) -> None:
    class StopAtOnce(Watcher):
        def progress(self, what: str, done: int, total: int) -> None:
            if what.startswith("training"):
                raise KeyboardInterrupt

    config = make_config(CONFIG | {"tick_kimg": 0.05})
    with pytest.raises(KeyboardInterrupt):
        gantune.train(config, out=tmp_path / "run", watcher=StopAtOnce())
    assert gantune.train(config, out=tmp_path / "run").step == 50


def test_a_training_may_be_lengthened_but_not_changed(tmp_path: Path) -> None:
    (tmp_path / "space.yaml").write_text("stability: off\ntrial: {}\n")
    gantune.train(make_config(CONFIG), out=tmp_path / "run")
    longer = gantune.train(make_config(CONFIG | {"kimg": 1.0}), out=tmp_path / "run", resume=True)
    assert longer.kimg == pytest.approx(1.0, abs=0.02)
    wider = make_config(CONFIG | {"network": {"name": "dcgan", "width": 8, "latent": 8}})
    with pytest.raises(RunError, match=r"another config(.|\n)*'width': 4"):
        gantune.train(wider, out=tmp_path / "run", resume=True)


def test_nothing_to_go_on_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match=r"last\.pt"):
        gantune.train(make_config(CONFIG), out=tmp_path / "none", resume=True)
