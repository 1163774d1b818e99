"""Distributions: their values, samples and texts."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gantune.config import ExternalConfig, TrialConfig
from gantune.errors import SpaceError
from gantune.space import load_space
from gantune.space.distributions import (
    KEYWORDS,
    Choices,
    Distribution,
    Range,
    plain,
    read_distribution,
)
from tests.space.conftest import Load, Problems

ALL = [
    Choices((16, 32)),
    Choices(("none", None, True)),
    Range(1e-5, 1e-2, log=True),
    Range(0.25, 4.0, log=True, times="generator.lr"),
    Range(0.0, 1.0, step=0.3),
    Range(2, 64, log=True),
    Range(1, 10, step=4),
    Range(3, 3),
    Range(0.5, 0.5),
]


@pytest.mark.parametrize("distribution", ALL, ids=str)
def test_distribution_contains_every_sample(distribution: Distribution) -> None:
    source = random.Random(0)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for _ in range(40):
        assert distribution.contains(distribution.sample(source))
        assert distribution.contains(distribution.suggest(study.ask(), "x"))


def test_range_with_steps_ends_at_the_last_whole_step() -> None:
    source = random.Random(0)
    assert {Range(1, 10, step=4).sample(source) for _ in range(60)} == {1, 5, 9}
    assert {Range(0.0, 1.0, step=0.3).sample(source) for _ in range(60)} == {0.0, 0.3, 0.6, 0.9}


@pytest.mark.parametrize(
    ("distribution", "value", "is_held"),
    [
        (Choices((1, 2)), 1, True),
        (Choices((1, 2)), True, False),
        (Choices((1, 2)), 1.0, False),
        (Range(1, 8), 8, True),
        (Range(1, 8), 8.0, False),
        (Range(1, 8), True, False),
        (Range(1, 8), 9, False),
        (Range(1, 9, step=4), 5, True),
        (Range(1, 9, step=4), 6, False),
        (Range(0.1, 0.9, step=0.1), 0.3, True),
        (Range(0.0, 1.0), "0.5", False),
    ],
)
def test_holds(distribution: Distribution, value: Any, is_held: bool) -> None:
    assert distribution.contains(value) is is_held


@pytest.mark.parametrize(
    ("distribution", "text"),
    [
        (Range(1e-5, 1e-2, log=True), "1e-5 … 0.01 (log)"),
        (Range(1, 9, step=4), "1 … 9 in steps of 4"),
        (Range(0.25, 4.0, log=True, times="generator.lr"), "0.25 … 4 (log) times generator.lr"),
        (Choices(("none", None, True, 0.5)), "none, null, true, 0.5"),
    ],
)
def test_text(distribution: Distribution, text: str) -> None:
    assert str(distribution) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_plain_numbers_round_trip(number: float) -> None:
    assert float(plain(number)) == number


def test_integer_ends_stay_integers_only_for_integer_values() -> None:
    assert read_distribution({"low": 1, "high": 8}, int) == Range(1, 8)
    assert read_distribution({"low": 1, "high": 8}, float) == Range(1.0, 8.0)
    assert read_distribution({"choices": [1, 2]}, float) == Choices((1.0, 2.0))


@pytest.mark.parametrize(
    ("tree", "kind", "key", "message"),
    [
        ({"choices": []}, int, "choices", "no choices; name at least one value"),
        ({"choices": 3}, int, "choices", "a list belongs here, not 3"),
        ({"choices": [1, 2, 1]}, int, "choices", "1 stands here twice"),
        ({"choices": [{"a": 1}]}, int, "choices", "settings that go together need 'choose'"),
        ({"choices": [1], "low": 1}, int, "low", "either choices or a range"),
        ({"low": 1}, int, "", "high is missing"),
        ({"log": True}, int, "", "low and high is missing"),
        ({"low": 2, "high": 1}, int, "low", "low (2) lies above high (1)"),
        ({"low": 0, "high": 1, "log": True}, float, "low", "a log range cannot reach 0"),
        ({"low": -1, "high": 1, "log": True}, float, "low", "a log range cannot reach -1"),
        ({"low": "1e-4", "high": 1}, float, "low", "remove the quotes"),
        ({"low": "small", "high": 1}, float, "low", "'small' is text where a number belongs"),
        ({"low": None, "high": 1}, float, "low", "a number belongs here, not null"),
        ({"low": True, "high": 1}, float, "low", "a number belongs here, not true"),
        ({"low": 0, "high": float("inf")}, float, "high", "a finite number belongs here"),
        ({"low": 0, "high": float("nan")}, float, "high", "a finite number belongs here"),
        ({"low": 0, "high": 1}, str, "", "a range needs a number"),
        ({"low": 0, "high": 1, "log": "yes"}, float, "log", "here, not 'yes' (write true)"),
        ({"low": 0, "hihg": 1}, float, "hihg", "(did you mean 'high'?)"),
        ({"low": 1, "high": 9, "step": 0}, int, "step", "must be above 0"),
        ({"low": 1, "high": 9, "step": 0.5}, int, "step", "must be whole"),
        ({"low": 1, "high": 9, "step": 2, "log": True}, int, "step", "a log range has no step"),
        ({"low": 0, "high": 1, "step": 1e-9}, float, "step", "more than 1000000 values"),
        ({"choices": [1, "a"], "times": "kimg"}, float, "choices", "'a' is text where a number"),
        ({"low": 1, "high": 2, "times": 3}, float, "times", "the path of one other setting"),
        ({"low": 1, "high": 2, "times": ""}, float, "times", "the path of one other setting"),
        ({"low": 1, "high": 2, "times": "kimg"}, int, "times", "only a fractional number"),
    ],
)
def test_wrong_ones(tree: dict[str, Any], kind: type, key: str, message: str) -> None:
    found = read_distribution(tree, kind)
    assert isinstance(found, list)
    assert [place for place, _ in found] == [key]
    assert message in found[0][1]


def test_no_field_has_the_name_of_a_keyword() -> None:
    def names(model: Any) -> set[str]:
        found = set(model.model_fields)
        for field in model.model_fields.values():
            for part in (field.annotation, *getattr(field.annotation, "__args__", ())):
                found |= names(part) if hasattr(part, "model_fields") else set()
        return found

    assert not names(TrialConfig) & {*KEYWORDS, "choose"}


@pytest.mark.parametrize(
    ("written", "message"),
    [
        (
            "{distribution: log_uniform_values, min: 1e-5, max: 1e-2}",
            "{low: 1e-5, high: 0.01, log: true}",
        ),
        ("{distribution: uniform, min: 0.1, max: 0.2}", "{low: 0.1, high: 0.2} here"),
        ("{type: loguniform, lower: 0.1, upper: 0.2}", "{low: 0.1, high: 0.2, log: true}"),
        ("{min: 0.1, max: 0.2}", "{low: 0.1, high: 0.2} here"),
        ("{values: [1e-4, 1e-3]}", "{choices: [1e-4, 1e-3]}"),
        ("{low: 1e-4, max: 1e-2}", "{low: 1e-4, high: 0.01} here"),
        ("{low: 1e-4, high: 1, hihg: 2}", "has no 'hihg' (did you mean 'high'?)"),
        ("{distribution: log_uniform, min: -11, max: -4}", "{low: 1.67e-5, high: 0.0183, log: tr"),
        ("{distribution: q_uniform, min: 0, max: 1, q: 0.1}", "{low: 0, high: 1, step: 0.1}"),
        ("{distribution: constant, value: 1e-3}", "a fixed value is written 1e-3 here"),
        ("{distribution: normal, mu: 0, sigma: 1}", "the distribution normal is not known; write"),
        ("{distribution: categorical, values: [1, 2], probabilities: [1, 0]}", "{choices: [1, 2]}"),
        ("{value: 1e-3}", "{low: ..., high: ...} or {same: PATH} belongs here, not {value: 1e-3}"),
        ("{min: 1e-3}", "{low: ..., high: ...} or {same: PATH} belongs here, not {min: 1e-3}"),
        ("{a: {b: {c: 1}}, d: 2}", "or {same: PATH} belongs here, not {a: {b: {c: 1}}, d: 2}"),
        ("{loguniform: [1e-5, 1e-2]}", "{low: 1e-5, high: 0.01, log: true}"),
        ("{tune.loguniform: [1e-5, 1e-2]}", "{low: 1e-5, high: 0.01, log: true}"),
        ("{suggest_float: [1e-5, 1e-2], log: true}", "{low: 1e-5, high: 0.01, log: true}"),
        ("{type: float, low: 1e-5, high: 1e-2, log: true}", "{low: 1e-5, high: 0.01, log: true}"),
        ("{low: 1e-5, high: 1e-2, scale: log}", "{low: 1e-5, high: 0.01, log: true}"),
        ("{range: [1e-5, 1e-2]}", "{low: 1e-5, high: 0.01} here"),
        ("{grid_search: [1e-4, 1e-3]}", "{choices: [1e-4, 1e-3]}"),
        ("{choice: [1e-4, 1e-3]}", "{choices: [1e-4, 1e-3]}"),
        ("'tune.loguniform(1e-5, 1e-2)'", "{low: 1e-5, high: 0.01, log: true}"),
        ("'suggest_float(lr, 1e-5, 1e-2, log=True)'", "{low: 1e-5, high: 0.01, log: true}"),
        ("'tune.choice([1e-4, 1e-3])'", "{choices: [1e-4, 1e-3]}"),
        ("'np.random(3)'", "'np.random(3)' is text where a number belongs"),
        ("[1e-4, 1e-3]", "to search these values write {choices: [1e-4, 1e-3]}"),
        ("1e400", "input should be a finite number, not inf"),
        (".nan", "input should be a finite number, not nan"),
        ("None", "'None' is text where a number belongs"),
        ("~", "input should be a valid number, not null"),
        ("1:30", "'1:30' is text where a number belongs"),
        ("1,000", "'1,000' is text where a number belongs (write 1000)"),
        ("0,0002", "'0,0002' is text where a number belongs (write 0.0002)"),
        ("0.5%", "(write 0.005)"),
        ("1/5000", "(write 0.0002)"),
        ("10^-4", "(write 1e-4)"),
        ("2*10**-4", "(write 2e-4)"),
        ("'1e-4'", "(remove the quotes)"),
        ("{1e-4}", "'1e-4' has no value; write {name: value}"),
        ("!loguniform [1, 2]", "a list; to search these values"),
        ("{distribution: uniform, low: 0.1, high: 1}", "the keys tell the distribution"),
        ("2026-01-01", "2026-01-01 is a date; write '2026-01-01' if it is text"),
        ("nan", "nan is no finite number"),
    ],
)
def test_the_words_of_other_tools_are_translated(
    tmp_path: Path, written: str, message: str
) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(
        f"trial:\n  data: {{source: digits, resolution: 32}}\n  generator:\n    lr: {written}\n"
    )
    with pytest.raises(SpaceError) as caught:
        load_space(file)
    assert len(caught.value.problems) == 1 and message in str(caught.value)


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.flip=no", "true or false belongs here, not 'no' (write false)"),
        ("data.flip=Yes", "true or false belongs here, not 'Yes' (write true)"),
        ("kimg=nan", "kimg: nan is no finite number"),
        ("generator.learning_rate=1e-3", "unknown name (did you mean 'lr'?)"),
        ("learning_rate=1e-3", "(did you mean 'generator.lr' or 'discriminator.lr'?)"),
    ],
)
def test_faults_of_overrides_are_told_in_one_line(override: str, message: str) -> None:
    with pytest.raises(SpaceError) as caught:
        load_space("dcgan", [override])
    assert message in str(caught.value).splitlines()[0]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("data: {flip: no}", "data.flip: true or false belongs here, not 'no' (write false)"),
        (
            "network: {conditional: on}",
            "conditional: auto, true or false belongs here, not 'on' (w",
        ),
        ("network: dcgan", "belongs here, not 'dcgan' (write {name: dcgan})"),
        ("batch_size: 1e2", "batch_size: a whole number belongs here, not 100.0 (write 100)"),
        ("generator: {clip_norm: None}", "generator.clip_norm: 'None' is text (write null)"),
        ("generator: [lr, 1]", "generator: a mapping (optimizer, lr, beta1, "),
        ("generator: {lr: 0,0002}", "'0002' has no value; write {name: value} with a space after"),
        ("generator: {lr:1e-3}", "'lr:1e-3' has no value; write {name: value} with a space after"),
        ("generator: {lr=1e-3}", "'lr=1e-3' has no value"),
        ("generator: {lr: tune.loguniform(1, 2)}", "'2)' has no value; write {name: value}"),
        ("generator:\n\tlr: 1", "s.yaml:3:1: not YAML: a tab stands here; indent with spaces"),
        ("kimg: 1\n  kimg: 2", "duplicate key 'kimg' (first on line 2)"),
        ("ema: &e {ramp: 1}\n  generator: {<<: *e}", "merge keys (<<) are not supported"),
        ("learning_rate: 1", "(did you mean 'generator.lr' or 'discriminator.lr'?)"),
        ("lr: {low: 1, high: 2}", "(did you mean 'generator.lr' or 'discriminator.lr'?)"),
        ("generator: {learning_rate: 1}", "unknown name (did you mean 'lr'?)"),
        ("generator: {betas: [0.5, 0.9]}", "unknown name (did you mean 'beta1'?)"),
        ("image_size: 32", "(did you mean 'data.resolution'?)"),
        ("n_epochs: 3", "(did you mean 'kimg'?)"),
        ("nz: {min: 1, max: 2}", "(did you mean 'network.latent'?)"),
        ("parameters: {lr: {min: 1, max: 2}, b: {values: [1]}}", "parameters: unknown name"),
        ("loss: WGAN", "(did you mean 'wgan'?)"),
        ("loss: bce", "(did you mean 'vanilla'?)"),
    ],
)
def test_one_line_for_one_fault(problems: Problems, body: str, message: str) -> None:
    (line,) = problems(f"trial:\n  {body}\n")
    assert message in line


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("parameters: {}", "parameters: unknown name (did you mean 'trial'?)"),
        ("method: bayes", "method: unknown name (did you mean 'sampler'?)"),
        ("metric: {name: fid}", "metric: unknown name (did you mean 'objective'?)"),
    ],
)
def test_the_top_level_of_a_sweep(problems: Problems, key: str, message: str) -> None:
    (line,) = problems(f"trial: {{}}\n{key}")
    assert message in line


@pytest.mark.parametrize(
    "value",
    ["010", "0o10", "1_000", "0x10", "{r1: }", "{plain, b: 1}", "{type: flip, value: 3}"],
)
def test_what_yaml_1_2_allows_is_read(load: Load, value: str) -> None:
    config = load(f"trainer: a:b\ntrial: {{kimg: 1, x: {value}}}").first_config()
    assert isinstance(config, ExternalConfig)
    expected = {"010": 10, "0o10": 8, "1_000": 1000, "0x10": 16}
    assert config.values["x"] == expected.get(value, config.values["x"])
