"""Whole searches by halving: what pauses goes on as if it had not, through kills and at the end."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import torch

from gantune.run_folder.run import RunFolder
from gantune.run_folder.trial import TrialFolder
from gantune.tuner.state import RunState, read_run
from tests.forked import Forked
from tests.tuner.own_trainers import GAN, GAN_SPACE, write_own
from tests.tuner.searches import Listener, run, wait_for, worker_processes
from tests.tuner.test_kills import LIMIT, command

pytestmark = [pytest.mark.integration, pytest.mark.timeout(900)]

SPACE = """
study: pausing
budget: {trials: 10, max_failed: 0}
objective: {samples: 64, rung_samples: 32, extractor: random}
trial:
  data: {source: digits, resolution: 16}
  network: {name: dcgan, width: 4, latent: 8}
  kimg: 0.4
  tick_kimg: 0.05
  batch_size: {choices: [8, 16]}
  precision: fp32
  generator: {lr: {low: 1e-4, high: 1e-2, log: true}}
start: [{batch_size: 16, generator.lr: 2e-4}]
stability: off
pruning: {rule: halving, rungs: [10%, 30%], factor: 2}
finalists: {top: 1, seeds: 1}
sampler: {name: random}
"""
"""Random settings: what is drawn does not depend on the rule."""

_TIMED = ("seconds", "scoring_seconds", "images_per_second")


def write_space(folder: Path, *replaced: tuple[str, str]) -> Path:
    text = SPACE
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    folder.mkdir(exist_ok=True)
    path = folder / "pausing.yaml"
    path.write_text(text)
    return path


def curve(home: TrialFolder) -> dict[str, Any]:
    """All that a run has recorded, without times."""
    lines = {"ticks": home.ticks(), "scores": home.scores()}
    return {
        name: [{key: value for key, value in line.items() if key not in _TIMED} for line in found]
        for name, found in lines.items()
    }


def best_weights(home: TrialFolder) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}

    def collect(value: Any, place: str) -> None:
        if isinstance(value, torch.Tensor):
            found[place] = value
        elif isinstance(value, dict):
            for key, item in value.items():
                collect(item, f"{place}.{key}")

    collect(torch.load(home.best, weights_only=True), "")
    return found


def outcomes(state: RunState) -> list[tuple[Any, ...]]:
    """What does not depend on times: settings, ending, length, scores."""
    return [
        (r.name, dict(r.params), r.outcome and (r.outcome.ending, r.outcome.kimg), r.rungs, r.value)
        for r in (*state.trials, *state.finalists)
    ]


def resume_files(folder: Path) -> list[str]:
    """What only a run that goes on needs."""
    names = ("last.pt", "previous.pt", "former-best.pt", "last", "checkpoints", ".last.old")
    return [str(p) for p in folder.glob("*/*/*") if p.name in names]


@pytest.mark.usefixtures("forked_workers")
def test_a_promoted_trial_is_bit_for_bit_the_one_that_never_paused(tmp_path: Path) -> None:
    halved = run(write_space(tmp_path / "halved"))
    plain = run(write_space(tmp_path / "plain", ("rule: halving", "rule: none")))
    assert set(halved.outcome_counts) == {"completed", "pruned"}
    assert len(halved.trials) == 10 and not halved.paused and halved.is_over
    promoted = [record for record in halved.trials if record.pauses and record.promoted]
    assert any(record.value is not None for record in promoted)
    for record, whole in zip(halved.trials, plain.trials, strict=True):
        assert record.params == whole.params
        homes = [s.folder.trial(record.name) for s in (halved, plain)]
        curves = [curve(home) for home in homes]
        for name in ("ticks", "scores"):
            part = curves[0][name]
            assert part and part == curves[1][name][: len(part)]
        if record.value is None:
            assert record.outcome is not None and record.outcome.kimg < whole.budget_kimg
            assert not homes[0].best.exists()
            continue
        assert curves[0] == curves[1]
        weights = [best_weights(home) for home in homes]
        assert weights[0] and weights[0].keys() == weights[1].keys()
        assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    assert resume_files(halved.folder.path) == []
    assert all(r.value is not None for r in halved.trials if r.number == halved.finalists[0].origin)


def ticks_of(folder: RunFolder) -> int:
    """How many ticks all trials have written."""
    return sum(p.read_bytes().count(b"\n") for p in folder.path.glob("trials/*/ticks.jsonl"))


def kill(victim: str, driver: subprocess.Popen[bytes], folder: RunFolder, ticks: int) -> int:
    """Kills a driver or its worker after so many more ticks, and once trials are paused; how many
    are then. Seconds in their place would let a fast machine end the search before."""
    wanted = ticks_of(folder) + ticks
    wait_for(lambda: ticks_of(folder) >= wanted and folder.journal.exists(), LIMIT)
    wait_for(lambda: bool(read_run(folder).paused), LIMIT)
    wait_for(lambda: bool(worker_processes(driver.pid)), LIMIT)
    found = len(read_run(folder).paused)
    for process in [driver.pid] if victim == "driver" else worker_processes(driver.pid):
        os.kill(process, signal.SIGKILL)
    return found


@pytest.mark.xdist_group("kills")
@pytest.mark.usefixtures("forked_workers")
def test_kills_among_paused_trials_change_nothing(tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1000)
    print(f"seed {seed}")  # pytest shows it if the test fails
    source = random.Random(seed)
    longer = (("kimg: 0.4", "kimg: 1.5"), ("name: random", "name: tpe"))
    space = write_space(tmp_path / "killed", *longer)
    folder = RunFolder(space.parent / "run")
    line = command(space)
    paused: list[int] = []
    for victims in (["driver"], ["worker", "driver"], ["worker"]):  # a worker once per driver
        driver = Forked(line, stdout=subprocess.DEVNULL)
        try:
            for victim in victims:
                paused.append(kill(victim, driver, folder, source.randint(1, 15)))
            if victims[-1] == "worker":
                assert driver.wait(LIMIT) == 0
        finally:
            driver.kill()
            driver.wait()
    assert all(paused)
    killed = read_run(folder)
    whole = run(write_space(tmp_path / "whole", *longer), device="cpu")
    assert killed.is_over and outcomes(killed) == outcomes(whole)
    for record in (*killed.trials, *killed.finalists):
        assert curve(killed.folder.trial(record.name)) == curve(whole.folder.trial(record.name))
    told = [line.partition(" trials/")[2] for line in folder.log.read_text().splitlines()]
    ends = Counter(line[:4] for line in told if line[5:].startswith("completed at "))
    assert set(ends.values()) == {1} and len(ends) == killed.outcome_counts["completed"]
    assert resume_files(folder.path) == []


OWN_SPACE = (
    GAN_SPACE.replace("trials: 3", "trials: 8, max_failed: 2")
    .replace("rule: none, rungs: [50%]", "rule: halving, rungs: [12.5%, 50%], factor: 2")
    .replace("stability: off", "stability: off\nsampler: {name: random}")
)


@pytest.mark.usefixtures("forked_workers")
def test_an_own_trainer_that_saves_goes_on_where_it_paused(tmp_path: Path) -> None:
    states = []
    for name, rule in (("halved", "halving"), ("plain", "none")):
        (tmp_path / name).mkdir()
        text = OWN_SPACE.replace("rule: halving", f"rule: {rule}")
        states.append(run(write_own(tmp_path / name, GAN, text)))
    halved, plain = states
    assert set(halved.outcome_counts) == {"completed", "pruned"}
    promoted = [r for r in halved.trials if r.pauses and r.value is not None]
    assert promoted
    for record, whole in zip(halved.trials, plain.trials, strict=True):
        curves = [curve(s.folder.trial(record.name)) for s in states]
        assert curves[0]["ticks"] == curves[1]["ticks"][: len(curves[0]["ticks"])]
        if record.value is not None:
            assert curves[0] == curves[1]
            assert record.value == whole.value
    assert resume_files(halved.folder.path) == []


@pytest.mark.usefixtures("forked_workers")
def test_an_own_trainer_that_saves_nothing_is_stopped_for_good(tmp_path: Path) -> None:
    code = GAN.replace("torch.save(", "dict(x=").replace(", state)", ")")
    assert "torch.save" not in code
    observer = Listener()
    state = run(write_own(tmp_path, code, OWN_SPACE), observer)
    assert set(state.outcome_counts) == {"completed", "pruned"}
    assert not any(record.pauses for record in state.trials)
    told = [line for line in observer.lines if "cannot be paused" in line]
    assert len(told) == 1
    assert "pruning.rule" in told[0]


@pytest.mark.parametrize(
    ("old", "new", "what"),
    [
        ("kimg, batch = session.kimg", "kimg, batch = 0.0", "lies before"),
        ("part.load_state_dict(saved[name])", "part.load_state_dict({})", "RuntimeError: Error"),
    ],
)
@pytest.mark.usefixtures("forked_workers")
def test_an_own_trainer_that_cannot_go_on_is_told_why_and_trained_from_its_start(
    tmp_path: Path, old: str, new: str, what: str
) -> None:
    assert old in GAN
    observer = Listener()
    state = run(write_own(tmp_path, GAN.replace(old, new), OWN_SPACE), observer)
    told = [line for line in observer.lines if "could not go on from its checkpoint" in line]
    assert len(told) == 1
    for words in (what, "session.checkpoint_dir", "session.kimg", "pruning.rule: median"):
        assert words in told[0]
    assert state.outcome_counts["crashed"] == 0
    assert state.winner is not None
