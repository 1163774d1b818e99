"""Spaces of external trainers: any keys, and everything else that a space can do."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from gantune.config import ExternalConfig, dump_config, load_any_config, load_config
from gantune.errors import ConfigError, SpaceError
from gantune.space import SearchSpace, shipped_spaces, shipped_trainer, space_differences
from tests.space.conftest import Load, Problems

SPACE = """
trainer: mine.py:train
trial:
  kimg: 4
  widths: [8, 16]
  depth: {low: 1, high: 4}
  lr: {low: 1e-4, high: 1, log: true}
  critic: {lr: {low: 0.5, high: 2, times: lr}, name: plain}
  choose:
    penalty:
      none: {}
      gp: {gp: {weight: {choices: [1, 10.0]}}}
start: [{depth: 2, lr: 0.01, critic.lr: 0.02, penalty: gp, gp.weight: 10}]
"""


def first(space: SearchSpace) -> ExternalConfig:
    config = space.first_config()
    assert isinstance(config, ExternalConfig)
    return config


def test_any_tree_can_be_sampled(load: Load, tmp_path: Path) -> None:
    space = load(SPACE)
    assert space.trainer == f"{tmp_path}/mine.py:train"
    config = first(space)
    assert (config.kimg, config.seed, config.loss, config.data) == (4.0, 0, None, None)
    assert config.mapping() == {
        "kimg": 4.0,
        "seed": 0,
        "widths": [8, 16],
        "depth": 2,
        "lr": 0.01,
        "critic": {"lr": 0.02, "name": "plain"},
        "gp": {"weight": 10.0},
    }
    assert set(space.parameters()) == {"penalty", "depth", "lr", "critic.lr/lr", "gp.weight"}
    source = random.Random(0)
    for _ in range(20):
        params = {name: d.sample(source) for name, d in space.parameters().items()}
        drawn = space.configs_of(params)
        assert isinstance(drawn, ExternalConfig)
        values = drawn.mapping()
        assert values["critic"]["lr"] == params["lr"] * params["critic.lr/lr"]
        assert ("gp" in values) == (params["penalty"] == "gp")


def test_sampled_config_round_trips(load: Load, tmp_path: Path) -> None:
    config = first(load(SPACE))
    file = tmp_path / "best.yaml"
    file.write_text(dump_config(config.replaced(kimg=8.0, seed=3)))
    assert file.read_text().startswith("trainer: ")
    again = load_any_config(file)
    assert isinstance(again, ExternalConfig)
    assert (again.kimg, again.seed) == (8.0, 3)
    assert again.replaced(kimg=4.0, seed=0) == config
    with pytest.raises(ConfigError, match=r"belongs to the trainer .*mine.py:train.*plain YAML"):
        load_config(file)
    file.write_text("trainer: mine.py:train\nkimg: -1\n")
    with pytest.raises(ConfigError, match=r"best.yaml:2:1: kimg"):
        load_any_config(file)


def test_overrides_set_values(load: Load) -> None:
    space = load(SPACE, "critic.name=deep", "kimg=2", "penalty=none", "start=[]", "seed=5")
    config = first(space)
    assert (config.kimg, config.seed, config.values["critic"]["name"]) == (2.0, 5, "deep")
    assert "gp" not in config.values
    assert first(load(SPACE, "gp.weight=3", "start=[]", "penalty=none")).values["gp"] == {
        "weight": 3
    }


def test_the_hash_covers_trainer_and_tree(load: Load) -> None:
    space = load(SPACE)
    others = [load(SPACE, text) for text in ("trainer=mine:other", "critic.name=x", "depth=2")]
    assert len({space.hash, *(other.hash for other in others)}) == 4
    assert load(SPACE, "budget={trials: 24, heartbeat: 5m}").hash == space.hash
    assert space_differences(space, others[0])[0].startswith("trainer: ")


def test_only_known_losses_are_judged_by_family(load: Load) -> None:
    text = "trainer: a:b\ntrial: {{kimg: 1, loss: {}, auxiliary: true}}"
    assert first(load(text.format("hinge"))).loss == "hinge"
    other = first(load(text.format("mine")))
    assert (other.loss, other.values["loss"], other.auxiliary) == (None, "mine", True)


def test_file_says_who_scores(load: Load) -> None:
    own, data = "trainer: a:b\ntrial: {kimg: 1}\n", "trainer: a:b\ntrial: {kimg: 1, data: {}}\n"
    named = "objective: {score: mmd}\n"
    assert load(own).score_name == "score"
    assert load(data).score_name is None
    assert load(own + named).score_name == load(data + named).score_name == "mmd"
    assert load("trial: {}").score_name is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "trainer: train\ntrial: {kimg: 1}",
            "s.yaml:1:1: trainer: 'train' names no trainer; write",
        ),
        ("trainer: 3\ntrial: {kimg: 1}", "s.yaml:1:1: trainer: input should be a valid string"),
        ("trainer: a:b\ntrial: {lr: 1}", "kimg: is missing; it is the length of a run"),
        ("trainer: a:b\ntrial: {kimg: 0}", "kimg: input should be greater than 0"),
        ("trainer: a:b\ntrial: {kimg: '4'}", "kimg: '4' is text where a number belongs"),
        ("trainer: a:b\ntrial: {kimg: 1, seed: x}", "seed: 'x' is text where a number belongs"),
        ("trainer: a:b\ntrial: {kimg: 1, trainer: x}", "trainer: names the trainer"),
        ("trainer: a:b\ntrial: {kimg: 1, data: {sauce: x}}", "did you mean 'source'"),
        (
            "trainer: a:b\ntrial: {kimg: 1, data: {resolution: {choices: [8, 16]}}}",
            "data.resolution: cannot be searched",
        ),
        ("trainer: a:b\ntrial: {kimg: 1, a.b: 1}", "'a.b': a name here has letters"),
        (
            "trainer: a:b\ntrial: {kimg: 1, x: {low: 1, high: 2, times: y}}",
            "x: times: there is no setting 'y'",
        ),
        (
            "trainer: a:b\ntrial: {kimg: 1, x: {low: 1, high: 2, times: y}, y: word}",
            "x: times: 'y' is no number",
        ),
        (
            "trainer: a:b\ntrial: {kimg: 1, x: {low: 1, high: 2, times: y}, "
            "choose: {d: {a: {y: 1.0}, b: {}}}}",
            "x: times: some trials that have this value have no 'y'",
        ),
        (
            "trainer: a:b\ntrial: {kimg: 1, x: {low: 1, high: 2}}\nstart: [{}]",
            "start[0]: does not set x; add x to the entry",
        ),
        ("trainer: a:b\ntrial: {kimg: 1}\nstart: [{y: 2}]", "start[0]: unknown name 'y'"),
        (
            "trainer: a:b\ntrial: {kimg: 1}\nobjective: {also: random}",
            "objective.also: are taken of samples, but the trainer gives its own score",
        ),
        ("trial: {}\nobjective: {score: mmd}", "only your own trainer gives another score"),
        ("trainer: a:b\ntrial: {kimg: 1}\nobjective: {score: a b}", "'a b' cannot name a score"),
        (
            "trainer: a:b\ntrial: {kimg: 1}\nbudget: {trials: 1, heartbeat: x}",
            "'x' is not a duration",
        ),
    ],
)
def test_what_is_wrong_is_named(problems: Problems, text: str, message: str) -> None:
    assert message in "\n".join(problems(text))


def test_value_may_be_relative_to_one_that_every_alternative_sets(load: Load) -> None:
    space = load(
        "trainer: a:b\ntrial: {kimg: 1, x: {low: 2, high: 2, times: y}, "
        "choose: {d: {a: {y: 1.0}, b: {y: 3}}}}"
    )
    found = {space.configs_of({"d": word, "x/y": 2.0}).values["x"] for word in "ab"}
    assert found == {2.0, 6.0}


def test_unknown_names_in_overrides_are_refused(load: Load) -> None:
    with pytest.raises(SpaceError, match=r"unknown name 'critik' \(did you mean 'critic'\?\)"):
        load(SPACE, "critik.name=x")


def test_shipped_trainer_is_next_to_its_space() -> None:
    assert "own_trainer" in shipped_spaces()
    trainer = shipped_trainer("own_trainer")
    assert trainer is not None and "def train(config" in trainer.read_text()
    assert shipped_trainer("dcgan") is None
