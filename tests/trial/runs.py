"""One tiny run of each kind of trainer in a folder, for the tests of sessions."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Literal
from unittest.mock import patch

import pytest
import torch
from torch import Tensor

from gantune.config import AnyConfig, make_config, make_external_config
from gantune.data import ImageSet, load_images
from gantune.gan.trainer import Trainer
from gantune.run_folder.trial import TrialFolder
from gantune.scores import Evaluator, Protocol, RealImages, make_protocols, resolve_extractor
from gantune.trial import builtin, external
from gantune.trial.records import Assignment, Outcome, Report, RungReport, no_heartbeat
from gantune.trial.run import run_trial
from gantune.trial.scoring import ScorePolicy
from gantune.trial.session import Session
from tests.gan.tape import Tapes

CPU = torch.device("cpu")
CONFIG: dict[str, Any] = {
    "data": {"source": "digits", "resolution": 16, "colour": "gray"},
    "network": {"name": "dcgan", "width": 4, "latent": 8},
    "kimg": 0.8,
    "tick_kimg": 0.1,
    "batch_size": 32,
    "precision": "fp32",
}
RUNGS = (0.25, 0.5, 1.0)

Kind = Literal["builtin", "recorded", "images", "value"]
"""gantune's trainer; the same with recorded steps, which is scored while it trains on; or a user's,
scored by its images or by its own value."""

KINDS: tuple[Kind, ...] = ("builtin", "recorded", "images", "value")

Answer = Callable[[RungReport], bool]


def make_evaluator(
    images: ImageSet,
    folder: Path,
    extractor: str = "auto",
    rung_samples: int = 64,
    device: torch.device = CPU,
) -> Evaluator:
    loaded = resolve_extractor(extractor, images, folder, device)
    protocols = make_protocols(loaded, RealImages(images), rung_samples=rung_samples, samples=100)
    return Evaluator(loaded, RealImages(images), protocols, device)


def digits() -> ImageSet:
    return load_images(make_config(CONFIG).data)


class AnyRun:
    """A run of any kind. ``train`` may be called again to resume it."""

    def __init__(
        self,
        kind: Kind,
        path: Path,
        evaluator: Evaluator,
        images: ImageSet,
        device: torch.device = CPU,
    ) -> None:
        self.kind, self.folder = kind, TrialFolder(path)
        path.mkdir(parents=True)
        self.evaluator, self.images, self.device = evaluator, images, device
        self.reports: list[RungReport] = []
        self.must_resume = self.sends_files = False
        self.name = "trials/0000" if kind != "recorded" else "finalists/0000"
        """A trial is not scored while it trains on where that may cost more than it saves."""
        self.heartbeat = no_heartbeat
        self.policy: ScorePolicy | None = None
        """That of all trials of a worker; ``None``: one of its own for each training."""
        self.on_draw: Callable[[float], None] = lambda kimg: None
        """Called with kimg when the user's trainer draws samples."""
        self.draw: Callable[[float, int, torch.Generator], Tensor] = _noise
        """Draws the samples of the user's trainer, at a kimg."""
        self.config: AnyConfig = make_config(CONFIG)
        if not self.is_own:
            self.config = make_external_config("mine.py:train", {"kimg": 0.8, "lr": 0.1})

    @property
    def is_own(self) -> bool:
        """Whether gantune's trainer trains it."""
        return self.kind in ("builtin", "recorded")

    @property
    def last(self) -> Path:
        """The file that a resumed run reads."""
        return self.folder.last if self.is_own else self.folder.external_last / "state"

    @property
    def best(self) -> Path:
        """The file with the best rung."""
        return self.folder.best if self.is_own else self.folder.external_best / "state"

    def change_config(self) -> None:
        """Changes the config, so that the checkpoints do not fit it."""
        if self.is_own:
            self.config = make_config(CONFIG | {"seed": 9})
        else:
            self.config = make_external_config("mine.py:train", {"kimg": 0.8, "lr": 0.2})

    def train(self, answer: Answer = lambda report: True, stability: Any = "off") -> Outcome:
        def noted(report: Report) -> bool:
            assert isinstance(report, RungReport)  # a pace report needs peers
            self.reports.append(report)
            return answer(report)

        assignment = Assignment(self.name, self.config, RUNGS, stability)
        value = Protocol.external("mmd", "mine.py:train") if self.kind == "value" else None
        policy = self.policy or ScorePolicy(None, self.evaluator, self.images)
        if value is not None:
            policy = ScorePolicy(value)
        session = Session(
            *(assignment, self.folder, self.device, policy, noted, self.heartbeat),
            must_resume=self.must_resume,
            sends_files=self.sends_files,
        )
        train: Callable[..., None] = partial(builtin.train, real=RealImages(self.images))
        if not self.is_own:
            train = partial(external.train, trainer=self._user_trainer)
        if self.kind != "recorded" or self.device.type == "cuda":
            return run_trial(train, session)
        with patch.object(Trainer, "_graphs", lambda _: Tapes()):
            return run_trial(train, session)

    def killed_at(self, rung: float) -> None:
        """Trains until a kill at a rung, before the driver answers."""

        def kill(report: RungReport) -> bool:
            if report.rung == rung:
                raise KeyboardInterrupt
            return True

        with pytest.raises(KeyboardInterrupt):
            self.train(kill)
        self.reports.clear()

    def content(self) -> list[dict[str, Any]]:
        """Everything in its two logs, without times."""
        times = ("seconds", "images_per_second", "scoring_seconds")
        lines = [*self.folder.ticks(), *self.folder.scores()]
        return [{k: v for k, v in line.items() if k not in times} for line in lines]

    def _user_trainer(self, config: dict[str, Any], session: Session) -> None:
        state = session.checkpoint_dir / "state"
        kimg = float(state.read_text()) if state.exists() else 0.0
        assert kimg == session.kimg
        while not session.should_stop:
            kimg = round(kimg + 0.1, 1)
            session.report(kimg=kimg, d_loss=1 / kimg, g_loss=kimg, step=round(10 * kimg))
            if not session.should_score:
                continue
            state.write_text(f"{kimg}")
            if self.kind == "value":
                self.on_draw(kimg)
                session.score(1 + abs(kimg - 0.4))
            else:
                session.score(images=partial(self._draw, kimg))

    def _draw(self, kimg: float, count: int, generator: torch.Generator) -> Tensor:
        self.on_draw(kimg)
        return self.draw(kimg, count, generator)


def _noise(kimg: float, count: int, generator: torch.Generator) -> Tensor:
    noise = torch.rand(count, 1, 16, 16, generator=generator) * 2 - 1
    return noise * (1 - abs(kimg - 0.4))
