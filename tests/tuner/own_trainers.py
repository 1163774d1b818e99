"""External trainers for the tests: whole modules, as a user would write them."""

from __future__ import annotations

import textwrap
from pathlib import Path

from gantune.space import SearchSpace, load_space

SPACE = """
study: own
trainer: mine.py:train
budget: {trials: 2, max_failed: 0, heartbeat: 60s}
trial:
  kimg: 1
  lr: {low: 0.01, high: 1, log: true}
start: [{lr: 0.1}]
pruning: {rule: none, rungs: [50%]}
finalists: {top: 0}
"""

SCORED = """
def train(config, session):
    kimg = session.kimg
    while not session.should_stop:
        kimg += 0.125
        session.report(kimg=kimg, d_loss=1.0, g_loss=0.7)
        if session.should_score:
            (session.checkpoint_dir / "kimg").write_text(str(kimg))
            session.score(config["lr"] + 1 - kimg)
"""
"""Scores itself by a number that falls with time."""

GAN = """
import torch
from sklearn.datasets import load_digits
from torch import nn
from torch.nn.functional import softplus


def train(config, session):
    torch.set_num_threads(1)  # no thread waits for another: machines are shared
    g = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 64), nn.Tanh())
    d = nn.Sequential(nn.Linear(64, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
    players = {"g": g, "d": d}
    adams = {n: torch.optim.Adam(p.parameters(), config["lr"]) for n, p in players.items()}
    state = session.checkpoint_dir / "state.pt"
    if state.exists():
        saved = torch.load(state)
        for name, part in {**players, **{f"{n}_adam": a for n, a in adams.items()}}.items():
            part.load_state_dict(saved[name])
        torch.set_rng_state(saved["random"])
    digits = torch.tensor(load_digits().images / 8 - 1, dtype=torch.float32).flatten(1)
    kimg, batch = session.kimg, config["batch"]

    def draw(n, generator):
        z = torch.randn(n, 8, generator=generator)
        return g(z).unflatten(1, (1, 8, 8))

    while not session.should_stop:
        for _ in range(4):
            real = digits[torch.randint(len(digits), (batch,))]
            fake = g(torch.randn(batch, 8))
            d_loss = softplus(-d(real)).mean() + softplus(d(fake.detach())).mean()
            adams["d"].zero_grad()
            (d_loss * config.get("blow_up", 1)).backward()
            adams["d"].step()
            g_loss = softplus(-d(fake)).mean()
            adams["g"].zero_grad()
            g_loss.backward()
            adams["g"].step()
            kimg += batch / 1000
        session.report(kimg=kimg, d_loss=d_loss, g_loss=g_loss)
        if session.should_score:
            parts = {**players, **{f"{n}_adam": a for n, a in adams.items()}}
            saved = {name: part.state_dict() for name, part in parts.items()}
            torch.save({**saved, "random": torch.get_rng_state()}, state)
            session.score(images=draw)
"""
"""A small GAN on the embedded digits that resumes from its checkpoint."""

GAN_SPACE = """
study: gan
trainer: mine.py:train
budget: {trials: 3}
objective: {samples: 64, rung_samples: 32}
trial:
  data: {source: digits}
  kimg: 1.024
  loss: vanilla
  lr: {low: 1e-4, high: 1e-2, log: true}
  batch: {choices: [16, 32]}
start: [{lr: 1e-3, batch: 16}]
stability: off
pruning: {rule: none, rungs: [50%]}
finalists: {top: 1, seeds: 2}
"""


def write_own(path: Path, code: str, space: str = SPACE) -> Path:
    """The files of a space and its trainer in a folder; the space's path."""
    (path / "mine.py").write_text(textwrap.dedent(code))
    file = path / "own.yaml"
    file.write_text(space)
    return file


def own_space(path: Path, code: str, space: str = SPACE, *overrides: str) -> SearchSpace:
    """That space, loaded."""
    return load_space(write_own(path, code, space), overrides)
