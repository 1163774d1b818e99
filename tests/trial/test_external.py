"""A run of another trainer that is scored by its samples: what is kept and drawn at each rung."""

from __future__ import annotations

import errno
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from gantune.config import make_external_config
from gantune.data import load_images
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Evaluator, RealImages, make_protocols, resolve_extractor
from gantune.trial import external
from gantune.trial.records import Assignment, Outcome
from gantune.trial.scoring import ScorePolicy
from gantune.trial.session import Session, run_trial

CPU = torch.device("cpu")
VALUES = {"kimg": 1.0, "data": {"source": "digits", "resolution": 16, "colour": "gray"}}


class Run:
    """One run; its trainer draws noise, and writes a file before each score."""

    def __init__(self, path: Path):
        config = make_external_config("mine.py:train", VALUES)
        assert config.data is not None
        images = load_images(config.data)
        real = RealImages(images)
        extractor = resolve_extractor("random", images, path / "extractor", CPU)
        protocols = make_protocols(extractor, real, rung_samples=100, samples=128)
        self.folder = TrialFolder(path / "0000")
        self.folder.path.mkdir()
        yardstick = ScorePolicy(None, Evaluator(extractor, real, protocols, CPU), images)
        assignment = Assignment("trials/0000", config, (0.5, 1.0), "off")
        self.session = Session(assignment, self.folder, CPU, yardstick, lambda report: True)
        self.drawn: list[float] = []

    def train(self, of_64: float = 0.0) -> Outcome:
        """Trains to the end; ``of_64``: what every pixel is where just 64 images are asked for."""

        def draw(count: int) -> Tensor:
            noise = torch.rand(count, 1, 16, 16) * 2 - 1
            self.drawn.append(float(noise.mean()))
            return noise + of_64 if count == 64 else noise

        def trainer(values: dict[str, Any], session: Session) -> None:
            for kimg in (0.5, 1.0):
                session.report(kimg=kimg, d_loss=1.0)
                (session.checkpoint_dir / "state").write_text(f"{kimg}")
                session.score(images=draw)

        return run_trial(partial(external.train, trainer=trainer), self.session)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(tmp_path)


def test_samples_are_drawn_at_each_rung_from_the_same_numbers(run: Run) -> None:
    assert run.train().ending == "completed"
    assert list(run.folder.grids()) == [0.5, 1.0]
    first, second = (path.read_bytes() for path in run.folder.grids().values())
    assert first == second and first.startswith(b"\x89PNG")
    assert run.folder.neighbours.exists()


def test_a_picture_that_cannot_be_drawn_costs_no_score(run: Run) -> None:
    outcome = run.train(of_64=float("nan"))
    assert outcome.ending == "completed" and outcome.score is not None
    assert not run.folder.grids() and not run.folder.neighbours.exists()


def test_a_disk_that_is_full_at_a_picture_leaves_what_was_scored(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("gantune.trial.pictures.save_grid", full)
    with pytest.raises(OSError, match="No space left"):
        run.train()
    assert [line["rung"] for line in run.folder.scores()] == [0.5, None]
    assert (run.folder.external_last / "state").read_text() == "0.5"
