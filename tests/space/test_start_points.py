"""``start`` entries are completed from defaults, checked and converted to parameters."""

from __future__ import annotations

import optuna
import pytest

from gantune.config import TrialConfig
from tests.space.conftest import Load, Problems

TRIAL = """\
trial:
  batch_size: {choices: [32, 64]}
  kimg: 40
  generator: {lr: {low: 1e-5, high: 1e-2, log: true}}
  discriminator: {lr: {low: 0.25, high: 4, log: true, times: generator.lr}}
  choose:
    loss:
      vanilla: {loss: vanilla}
      wgan:
        loss: wgan
        choose:
          lipschitz:
            clip: {penalties: {weight_clip: {limit: {low: 1e-3, high: 1, log: true}}}}
            gp: {penalties: {gradient_penalty: {weight: {low: 0.1, high: 100, log: true}}}}
"""


def test_an_empty_entry_is_the_defaults(load: Load) -> None:
    space = load(TRIAL + "start: [{}]")
    assert space.start_points() == [
        {
            "loss": "vanilla",
            "batch_size": 64,
            "generator.lr": 2e-4,
            "discriminator.lr/generator.lr": 1.0,
        }
    ]
    assert space.first_config() == TrialConfig()


def test_values_by_path_even_where_a_ratio_is_searched(load: Load) -> None:
    space = load(
        TRIAL + "start:\n"
        "- {loss: wgan, lipschitz: clip, generator.lr: 1e-4, discriminator.lr: 4e-4}\n"
        "- {generator: {lr: 1e-3}, discriminator.lr/generator.lr: 2, batch_size: 32}\n"
    )
    first, second = space.start_points()
    assert first == {
        "loss": "wgan",
        "lipschitz": "clip",
        "penalties.weight_clip.limit": 0.01,
        "batch_size": 64,
        "generator.lr": 1e-4,
        "discriminator.lr/generator.lr": 4.0,
    }
    assert second["discriminator.lr/generator.lr"] == 2.0
    assert space.configs_of(second).discriminator.lr == pytest.approx(2e-3)
    assert space.first_config().penalties.weight_clip is not None


def test_study_tries_start_points_first(load: Load) -> None:
    space = load(TRIAL + "start: [{generator.lr: 1e-3, discriminator.lr: 1e-3}, {}]")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for params in space.start_points():
        study.enqueue_trial(params)
    assert space.sample_config(study.ask()).generator.lr == 1e-3
    assert space.sample_config(study.ask()) == TrialConfig()


def test_fixed_values_may_be_repeated(load: Load) -> None:
    space = load(TRIAL + "start: [{kimg: 40, ema.half_life: 10}]")
    assert len(space.start_points()) == 1


def test_values_that_two_alternatives_search_differently(load: Load) -> None:
    space = load("""
        trial:
          choose:
            loss:
              hinge: {loss: hinge, kimg: {low: 1, high: 20}}
              wgan: {loss: wgan, kimg: {low: 1, high: 50}}
        start: [{loss: hinge, kimg: 10}, {loss: wgan, wgan:kimg: 30}]
        """)
    assert space.start_points() == [
        {"loss": "hinge", "hinge:kimg": 10.0},
        {"loss": "wgan", "wgan:kimg": 30.0},
    ]


@pytest.mark.parametrize(
    ("value", "loss"), [("wgan", "wgan"), ("{choices: [vanilla, wgan]}", "vanilla")]
)
def test_an_alternative_need_not_have_the_name_of_what_it_sets(
    load: Load, value: str, loss: str
) -> None:
    space = load(f"""
        trial:
          choose:
            loss:
              hinge: {{loss: hinge}}
              wgan_gp: {{loss: {value}, penalties: {{gradient_penalty: {{}}}}}}
        start: [{{loss: wgan_gp}}]
        """)
    assert space.start_points()[0]["loss"] == "wgan_gp"
    assert space.first_config().loss == loss


def test_one_value_given_by_two_names(problems: Problems) -> None:
    text = """\
        trial:
          choose:
            loss:
              hinge: {loss: hinge, kimg: {low: 1, high: 20}}
              wgan: {loss: wgan, kimg: {low: 1, high: 50}}
        start: [{loss: hinge, kimg: 10, hinge:kimg: 11}]
        """
    assert "kimg and hinge:kimg set the same value" in "\n".join(problems(text))


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("{loss: wgn}", "loss has no alternative 'wgn' (did you mean 'wgan'?)"),
        ("{loss: wgan}", "does not set lipschitz; add lipschitz: one of clip, gp"),
        ("{batch_size: 48}", "batch_size: 48 is outside 32, 64"),
        ("{generator.lr: 1, discriminator.lr: 1}", "generator.lr: 1 is outside 1e-5 … 0.01"),
        ("{generator.lr: 1e-3}", "does not set discriminator.lr/generator.lr, and its default"),
        ("{generator.lr: '1e-3'}", "'1e-3' is text where a number belongs (remove the quotes)"),
        (
            "{discriminator.lr: 1e-4, discriminator.lr/generator.lr: 2}",
            "discriminator.lr and discriminator.lr/generator.lr set the same value; "
            "remove one of the two",
        ),
        (
            "{discriminator.lr: 2e-4, discriminator.lr/generator.lr: 1}",
            "discriminator.lr and discriminator.lr/generator.lr set the same value",
        ),
        (
            "{generator: {lr: 1e-3}, generator.lr: 2e-4}",
            "generator.lr is given twice; remove one of the two",
        ),
        ("{lipschitz: gp}", "lipschitz exists only where loss is wgan"),
        ("{penalties.weight_clip.limit: 1}", "exists only where lipschitz is clip"),
        ("{kimg: 50}", "kimg is fixed to 40 in trial, not 50"),
        ("{seed: 3}", "seed is not open"),
        ("{generater.lr: 1e-3}", "unknown name 'generater.lr' (did you mean 'generator.lr'?)"),
        ("{batch_size: {choices: [32]}}", "unknown name 'batch_size.choices'"),
        ("3", "start.0: a mapping belongs here, not 3"),
    ],
)
def test_wrong_entries(problems: Problems, entry: str, message: str) -> None:
    assert message in "\n".join(problems(f"{TRIAL}start: [{entry}]"))


def test_entry_must_set_a_value_whose_default_is_outside_the_range(problems: Problems) -> None:
    found = problems("trial: {kimg: {low: 1, high: 20}}\nstart: [{}]\n")
    assert found == [
        "s.yaml:2:9: start[0]: does not set kimg, and its default, 40, is outside 1 … 20; "
        "add kimg to the entry"
    ]
