"""Rungs that fall together in some trial, and other wrong settings of budget and pruning."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from gantune.config import make_config
from gantune.errors import SpaceError
from gantune.events import Observer
from gantune.space import load_space
from gantune.space.rungs import Steps, steps_of
from gantune.tuner.options import Options
from gantune.tuner.prepare import prepare

TRIAL = """
trial:
  data: {source: digits}
  kimg: {choices: [4, 10]}
  batch_size: {choices: [16, 64]}
  tick_kimg: 0.2
"""
OWN = "trainer: mine.py:train\ntrial: {kimg: 0.1, lr: {low: 0.1, high: 1}}\n"


def space_file(folder: Path, text: str) -> Path:
    (folder / "mine.py").write_text("def train(config, session): ...\n")
    path = folder / "wrong.yaml"
    path.write_text(text)
    return path


WRONG = [
    ("pruning: {rungs: [1%, 25%]}", "7:19", "1% is 40 images, less than a batch of 64"),
    ("pruning: {rungs: [9%, 10%]}", "7:19", "9% and 10% fall into one tick of 0.2 kimg"),
    ("pruning: {rungs: [31%, 32%]}", "7:19", "31% and 32% are 1240 and 1280 images, in one batch"),
    ("pruning: {rungs: [25%, 99%]}", "7:24", "99% and 100% fall into one tick"),
    ("pruning: {rule: hyperband, rungs: [5%, 6%]}", "7:36", "5% and 6% are 200 and 240 images"),
    ("pruning: {rule: hyperband, rungs: [50%]}", "7:28", "at two rungs or more, not 50%"),
    ("pruning: {rule: hyperband, rungs: []}", "7:28", "write rule: halving"),
    ("pruning: {factor: 1.5}", "7:11", "greater than or equal to 2, not 1.5"),
    ("pruning: {factor: a quarter}", "7:11", "'a quarter' is text where a number belongs"),
    (
        "budget: {patience: 30 trials}",
        "7:10",
        "'30 trials' is not a number of trials begun; write 30",
    ),
    ("budget: {patience: 2h}", "7:10", "for a limit of time write time: 2h"),
    ("budget: {patience: 1.5}", "7:10", "should be a valid integer, not 1.5"),
    ("budget: {patience: 0}", "7:10", "greater than or equal to 1, not 0"),
    ("budget: {patience: true}", "7:10", "a valid integer"),
    ("budget: {kimg: 20}", "7:10", "less than one trial and 6 trainings of the finals take, "),
]


@pytest.mark.parametrize(("line", "place", "message"), WRONG)
def test_each_mistake_is_one_located_message_and_writes_nothing(
    tmp_path: Path, line: str, place: str, message: str
) -> None:
    path = space_file(tmp_path, TRIAL + line)
    with pytest.raises(SpaceError) as caught:
        prepare(path, Options(out=tmp_path / "run"), Observer())
    assert str(caught.value).startswith(f"{path}:{place}: ")
    assert message in str(caught.value)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("rungs", "message"),
    [
        ("[1%, 2%]", "1% is no image"),
        ("[4%, 5%]", "are the same number of images, 2"),
        ("[95%]", ""),
    ],
)
def test_the_rungs_of_an_own_trainer_are_whole_images(
    tmp_path: Path, rungs: str, message: str
) -> None:
    path = space_file(tmp_path, f"{OWN.replace('0.1,', '0.04,')}pruning: {{rungs: {rungs}}}\n")
    if not message:
        assert load_space(path).pruning.shares == (0.95,)
        return
    with pytest.raises(SpaceError, match=message):
        load_space(path)


@pytest.mark.parametrize(
    ("kimg", "tick", "shares", "told"),
    [
        ("40", "0.2", (0.05, 0.25), ""),
        (
            "1",
            "0.05",
            (0.07, 0.25),
            "5% is 50 images, less than a batch of 64 in the shortest trial",
        ),
        ("1", "0.05", (0.07, 0.25), "(1 kimg); the rungs are 7%, 25%"),
        ("0.6", "0.05", (0.11, 0.25), "the rungs are 11%, 25%"),
        ("0.21", "0.05", (0.31,), "the rungs are 31%"),
        ("1", "0.2", (0.25,), "the rungs are 25%"),
        ("0.04", "0.2", (), "the rungs are none, so that no trial is paused"),
    ],
)
def test_default_rungs_that_do_not_fit_move_or_are_left_out(
    tmp_path: Path, kimg: str, tick: str, shares: tuple[float, ...], told: str
) -> None:
    text = TRIAL.replace("{choices: [4, 10]}", kimg).replace("tick_kimg: 0.2", f"tick_kimg: {tick}")
    space = load_space(space_file(tmp_path, text))
    assert space.pruning.shares == shares
    assert told in space.note
    assert space.pruning.pauses == bool(shares)
    (tmp_path / "again.yaml").write_text(text)
    assert load_space(tmp_path / "again.yaml").hash == space.hash


@pytest.mark.parametrize("rule", ["median", "none"])
def test_other_rules_take_rungs_as_they_are(tmp_path: Path, rule: str) -> None:
    text = f"{TRIAL}pruning: {{rule: {rule}, rungs: [1%, 2%]}}\n"
    assert load_space(space_file(tmp_path, text)).pruning.shares == (0.01, 0.02)


@given(
    kimg=st.floats(0.05, 50),
    batch=st.integers(1, 300),
    tick=st.integers(1, 3000),
    share=st.floats(0.01, 0.99),
)
def test_a_rung_is_scored_at_the_first_tick_that_reaches_it(
    kimg: float, batch: int, tick: int, share: float
) -> None:
    """As ``Trainer`` goes from tick to tick."""
    steps = Steps(kimg, batch, tick)
    assume(steps.images(share) > 0)
    end, seen = max(1, round(1000 * kimg)), 0
    while seen < end:
        target = min((seen // tick + 1) * tick, end)
        while seen < target:
            seen += batch
        if seen >= steps.images(share):
            break
    assert steps.scored_at(share) == seen


@pytest.mark.integration
@pytest.mark.parametrize("more", [(), ("--dry-run",)])
def test_the_command_ends_with_code_2(tmp_path: Path, more: tuple[str, ...]) -> None:
    path = space_file(tmp_path, TRIAL + WRONG[0][0])
    start = [sys.executable, "-m", "gantune", "search", str(path), "--out", str(tmp_path / "run")]
    result = subprocess.run([*start, *more], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.startswith(f"{path}:7:19: pruning.rungs: ")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("large", "many", "batch"),
    [
        ("batch_size: 256", "discriminator: {steps: 5}", 320),  # they never meet
        ("batch_size: 256", "loss: hinge", 256),
        ("batch_size: 256, discriminator: {steps: 2}", "discriminator: {steps: 5}", 512),
        ("discriminator: {steps: 2}", "discriminator: {steps: {choices: [3, 4]}}", 256),
    ],
)
def test_the_longest_step_is_one_that_a_trial_can_have(
    tmp_path: Path, large: str, many: str, batch: int
) -> None:
    alternatives = f"{{large: {{{large}}}, many: {{{many}}}}}"
    text = f"trial: {{kimg: 20, batch_size: 64, choose: {{way: {alternatives}}}}}\n"
    if "batch_size" in large:
        text = text.replace("batch_size: 64, choose", "choose").replace(
            "many: {", "many: {batch_size: 64, "
        )
    steps = steps_of(load_space(space_file(tmp_path, text)).tree)
    assert steps is not None and steps.batch == batch


def test_the_steps_of_a_config_are_those_of_its_space(tmp_path: Path) -> None:
    config = make_config({"batch_size": 32, "discriminator": {"steps": 3}, "kimg": 7.0})
    text = "trial: {kimg: 7, batch_size: 32, discriminator: {steps: 3}}\n"
    assert Steps.of(config) == steps_of(load_space(space_file(tmp_path, text)).tree)
