"""``choose`` and the values around it: merging, names, conflicts, combinations."""

from __future__ import annotations

from typing import Any

import optuna
import pytest

from gantune.config import TrialConfig
from tests.space.conftest import Load, Problems

NESTED = """
    trial:
      batch_size: {choices: [16, 32]}
      choose:
        loss:
          hinge: {loss: hinge, discriminator: {norm: spectral}}
          wgan:
            loss: wgan
            discriminator: {steps: 5}
            choose:
              lipschitz:
                clip: {penalties: {weight_clip: {limit: {low: 1e-3, high: 1, log: true}}}}
                gp: {penalties: {gradient_penalty: {}}}
      discriminator:
        choose:
          momentum:
            none: {beta1: 0.0}
            some: {beta1: {low: 0.1, high: 0.9}}
    """


def test_sampled_alternative_is_merged_in(load: Load) -> None:
    space = load(NESTED)
    config = space.configs_of(
        {"batch_size": 32, "loss": "wgan", "lipschitz": "gp", "discriminator.momentum": "none"}
    )
    assert config == TrialConfig.model_validate(
        {
            "batch_size": 32,
            "loss": "wgan",
            "discriminator": {"steps": 5, "beta1": 0.0},
            "penalties": {"gradient_penalty": {}},
        }
    )


def test_open_value_of_an_alternative_exists_only_there(load: Load) -> None:
    space = load(NESTED)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    seen = set()
    for _ in range(60):
        trial = study.ask()
        config = space.sample_config(trial)
        params = trial.params
        assert ("lipschitz" in params) == (config.loss == "wgan")
        assert ("penalties.weight_clip.limit" in params) == (params.get("lipschitz") == "clip")
        assert (config.penalties.weight_clip is not None) == (params.get("lipschitz") == "clip")
        assert space.configs_of(params) == config
        seen.add((config.loss, params.get("lipschitz"), params["discriminator.momentum"]))
    assert len(seen) == 6


def test_parameters_by_name(load: Load) -> None:
    assert {name: str(text) for name, text in load(NESTED).parameters().items()} == {
        "discriminator.momentum": "none, some",
        "loss": "hinge, wgan",
        "lipschitz": "clip, gp",
        "batch_size": "16, 32",
        "discriminator.beta1": "0.1 … 0.9",
        "penalties.weight_clip.limit": "1e-3 … 1 (log)",
    }


def test_a_name_never_has_two_meanings(load: Load) -> None:
    space = load("""
        trial:
          choose:
            loss:
              hinge: {generator: {lr: {low: 1e-4, high: 1e-3}, beta1: {low: 0, high: 0.5}}}
              wgan: {generator: {lr: {low: 1e-6, high: 1e-3}, beta1: {low: 0, high: 0.5}}}
        """)
    assert set(space.parameters()) == {
        "loss", "hinge:generator.lr", "wgan:generator.lr", "generator.beta1",
    }  # fmt: skip


def test_names_have_as_many_alternatives_as_make_them_different(load: Load) -> None:
    space = load("""
        trial:
          choose:
            loss:
              hinge: {loss: hinge, choose: {speed: {slow: {kimg: {low: 1, high: 2}}, fast: {}}}}
              wgan: {loss: wgan, choose: {speed: {slow: {kimg: {low: 1, high: 3}}, fast: {}}}}
        """)
    assert set(space.parameters()) == {
        "loss", "hinge:speed", "wgan:speed", "hinge:slow:kimg", "wgan:slow:kimg",
    }  # fmt: skip


def test_decision_with_the_name_of_a_value(load: Load, problems: Problems) -> None:
    inside = load("trial: {choose: {loss: {a: {loss: {choices: [hinge, wgan]}}, b: {}}}}")
    assert set(inside.parameters()) == {"loss", "a:loss"}
    beside = problems("trial: {kimg: {low: 1, high: 2}, choose: {kimg: {a: {}, b: {}}}}")
    assert beside == [
        "s.yaml:1:43: kimg: a decision and a value have this name; rename the decision"
    ]


def test_two_places_that_set_one_value(problems: Problems) -> None:
    assert problems("""\
        trial:
          kimg: 10
          generator: {lr: 1e-3}
          choose:
            a:
              x: {kimg: 20}
              y: {kimg: 30}
            b:
              z: {generator: {lr: {low: 1e-4, high: 1e-3}}}
        """) == [
        "s.yaml:6:11: kimg: line 2 sets this too (kimg); remove one of the two",
        "s.yaml:7:11: kimg: line 2 sets this too (kimg); remove one of the two",
        "s.yaml:9:23: generator.lr: line 3 sets this too (generator.lr); remove one of the two",
    ]


def test_two_decisions_that_set_one_value(problems: Problems) -> None:
    found = problems("trial: {choose: {a: {x: {kimg: 1}}, b: {y: {kimg: 2}}}}")
    assert found == ["s.yaml:1:45: kimg: line 1 sets this too (kimg); remove one of the two"]


def test_empty_mapping_is_replaced_by_values_inside_it(load: Load) -> None:
    space = load("""
        trial:
          penalties: {r1: {}}
          choose: {a: {x: {penalties: {r1: {weight: 3}}}, y: {penalties: {r1: {}}}}}
        """)
    weights = [space.configs_of({"a": word}).penalties.r1 for word in ("x", "y")]
    assert [part.weight for part in weights if part] == [3.0, 10.0]


def test_times(load: Load) -> None:
    space = load("""
        trial:
          generator: {lr: {low: 1e-4, high: 1e-3, times: discriminator.lr}}
          discriminator: {lr: {choices: [0.1, 1]}}
          ema: {ramp: {low: 0.1, high: 0.2, times: generator.lr}}
        """)
    name = "generator.lr/discriminator.lr"
    config = space.configs_of({name: 5e-4, "discriminator.lr": 0.1, "ema.ramp/generator.lr": 0.1})
    assert config.generator.lr == pytest.approx(5e-5)
    assert config.ema.ramp == pytest.approx(5e-6)
    assert space.largest("generator.lr") == pytest.approx(1e-3)


def test_value_relative_to_one_that_the_space_does_not_set(load: Load) -> None:
    space = load("trial: {generator: {lr: {low: 1, high: 2, times: discriminator.lr}}}")
    config = space.configs_of({"generator.lr/discriminator.lr": 2.0})
    assert config.generator.lr == pytest.approx(2 * 2e-4)


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        (
            "{generator: {lr: {low: 1, high: 2, times: discriminator.lr}}, "
            "discriminator: {lr: {low: 1, high: 6}}}",
            "generator.lr: reaches 12 (ratio times discriminator.lr); input should be less than",
        ),
        (
            "{generator: {lr: {low: 1, high: 2, times: discriminator.lr}}, "
            "discriminator: {lr: {low: 1, high: 2, times: generator.lr}}}",
            "depends on itself in a circle",
        ),
        ("{kimg: {low: 1, high: 2, times: kimg}}", "depends on itself in a circle"),
        ("{kimg: {low: 1, high: 2, times: tick}}", "there is no setting 'tick'"),
        ("{kimg: {low: 1, high: 2, times: tick_kim}, tick_kimg: 1}", "did you mean 'tick_kimg'?"),
        ("{kimg: {low: 1, high: 2, times: loss}}", "'loss' is no number"),
        (
            "{kimg: {low: 1, high: 2, times: tick_kimg}, tick_kimg: x}",
            "tick_kimg: 'x' is text where a number belongs",
        ),
        ("{kimg: {low: 1, high: 2, times: seed}}", "reaches 0 (ratio times seed)"),
    ],
)
def test_wrong_times(problems: Problems, trial: str, message: str) -> None:
    assert message in problems(f"trial: {trial}")[0]


@pytest.mark.parametrize(
    ("trial", "message"),
    [
        ("{choose: 3}", "choose: decisions by name belong here"),
        ("{choose: {}}", "choose: decisions by name belong here"),
        ("{choose: {loss: [hinge]}}", "loss: alternatives by name belong here"),
        ("{choose: {loss: {choices: [hinge]}}}", "loss: alternatives by name belong here"),
        ("{choose: {loss: {hinge: 3}}}", "loss.hinge: settings belong here, as a mapping"),
        ("{choose: {loss: {hinge: {low: 3, high: 4}}}}", "loss.hinge: settings belong here"),
        ("{choose: {a.b: {x: {}}}}", "'a.b': a name here has letters"),
        ("{choose: {a: {'x:y': {}}}}", "'x:y': a name here has letters"),
        ("{choose: {a: {x: {lss: hinge}}}}", "lss: unknown name (did you mean 'loss'?)"),
        ("{choose: {a: {x: {loss: hnge}}}}", "not 'hnge' (did you mean 'hinge'?)"),
        ("{batch_size: [16, 32]}", "to search these values write {choices: [16, 32]}"),
        ("{data: {source: {choices: [a, b]}}}", "data.source: cannot be searched"),
        ("{choose: {a: {x: {data: {resolution: 16}}}}}", "data.resolution: cannot be searched"),
        ("{data: {held_out: {choices: [0.1, 0.2]}}}", "data.held_out: cannot be searched"),
    ],
)
def test_wrong_trees(problems: Problems, trial: str, message: str) -> None:
    assert message in "\n".join(problems(f"trial: {trial}"))


def test_every_candidate_is_checked_at_its_place(problems: Problems) -> None:
    assert problems("""\
        trial:
          batch_size: {choices: [16, 1, 70000]}
          generator:
            lr: {low: 0, high: 11}
        """) == [
        "s.yaml:2:30: batch_size: input should be greater than or equal to 2, not 1",
        "s.yaml:2:33: batch_size: input should be less than or equal to 65536, not 70000",
        "s.yaml:4:10: generator.lr: input should be greater than 0, not 0.0",
        "s.yaml:4:18: generator.lr: input should be less than or equal to 10, not 11.0",
    ]


def test_combinations_are_checked_and_each_problem_is_reported_once(problems: Problems) -> None:
    assert problems("""\
        trial:
          data: {resolution: 32}
          batch_size: {choices: [16, 32, 64]}
          kimg: {low: 1, high: 2}
          choose:
            net: {small: {}, other: {network: {name: dcgan28}}}
        """) == [
        "s.yaml:2:10: data.resolution: network 'dcgan28' makes 28 pixels, not 32; "
        "network 'dcgan' makes 32"
    ]


@pytest.mark.integration
def test_more_combinations_than_can_be_tried(problems: Problems) -> None:
    many = "{choices: [4, 5, 6, 7, 8, 9, 10, 11, 12]}"
    found = problems(f"""\
        trial:
          batch_size: {many}
          discriminator: {{steps: {many}}}
          network: {{latent: {many}, width: {many}, name: {{choices: [dcgan, dcgan28]}}}}
          data: {{resolution: 32}}
        """)
    assert len(found) == 1
    assert "network 'dcgan28' makes 28 pixels" in found[0]


def test_whole_numbers_stay_whole(load: Load) -> None:
    space = load("trial: {batch_size: {low: 16, high: 64, log: true}, kimg: {low: 1, high: 9}}")
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    kinds: set[tuple[Any, ...]] = set()
    for _ in range(10):
        config = space.sample_config(study.ask())
        kinds.add((type(config.batch_size), type(config.kimg)))
    assert kinds == {(int, float)}


def test_space_with_nothing_open_has_a_note(load: Load) -> None:
    space = load("trial: {}")
    assert space.note == "no value of trial is open to search: every trial is the same run"
    assert space.first_config() == TrialConfig()
