"""``TrialConfig``: accepted values, errors, and the rules between fields."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel

from gantune.config import RESOLUTIONS, TrialConfig, make_config
from gantune.config.loss_families import LOSSES
from gantune.config.sections import PenaltiesConfig
from gantune.data.sources.builtin import gaussian_modes
from gantune.errors import ConfigError
from gantune.io.validation import did_you_mean, find_field
from gantune.io.yaml_document import parse_document


def message_of(tree: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as caught:
        make_config(tree)
    return str(caught.value)


@pytest.mark.parametrize(
    ("tree", "message"),
    [
        ({"lose": "hinge"}, "lose: unknown name (did you mean 'loss'?)"),
        ({"generator": {"lrr": 1}}, "generator.lrr: unknown name (did you mean 'lr'?)"),
        (
            {"generator": {"zzz": 1}},
            "generator.zzz: unknown name; known: optimizer, lr, b",
        ),
        ({"loss": "hing"}, "not 'hing' (did you mean 'hinge'?)"),
        ({"loss": "lsgann"}, "(did you mean 'lsgan'?)"),
        (
            {"generator": {"lr": "1e-4"}},
            "'1e-4' is text where a number belongs (remove the quotes)",
        ),
        ({"generator": {"lr": "fast"}}, "generator.lr: 'fast' is text where a number belongs"),
        ({"generator": {"lr": 0}}, "generator.lr: input should be greater than 0, not 0"),
        ({"generator": {"lr": float("nan")}}, "generator.lr: input should be"),
        ({"generator": None}, "generator: a mapping (optimizer, lr, beta1, beta2, "),
        ({"batch_size": 16.0}, "batch_size: a whole number belongs here, not 16.0 (write 16)"),
        ({"batch_size": True}, "batch_size: input should be a valid integer, not true"),
        (
            {"data": {"resolution": "atuo"}},
            "data.resolution: auto or a whole number belongs here, not 'atuo' "
            "(did you mean 'auto'?)",
        ),
        ({"data": {"resolution": None}}, "auto or a whole number belongs here, not null"),
        ({"data": {"resolution": "32"}}, "data.resolution: '32' is text where a number belongs"),
        ({"data": {"resolution": 2}}, "data.resolution: input should be greater than or equal"),
        (
            {"penalties": {"r1": 3}},
            "penalties.r1: a mapping (weight, interval) belongs here, not 3",
        ),
        ({"penalties": {"zzz": {}}}, "penalties.zzz: unknown name; known: weight_clip, gradient_"),
        (
            {"data": {"resolution": 28}},
            "data.resolution: network 'dcgan' makes 16, 32, 64, 128, 256 pixels, not 28; "
            "network 'dcgan28' makes 28",
        ),
        (
            {"network": {"name": "mlp"}},
            "network.name: network 'mlp' cannot learn 'digits', which gives images: use 'dcgan'",
        ),
        (
            {"data": {"source": "gaussians:ring"}},
            "network 'dcgan' cannot learn 'gaussians:ring', which gives points: use 'mlp'",
        ),
        (
            {"data": {"source": "gaussians:rng"}},
            "data.source: gaussians have no layout 'rng' (did you mean 'gaussians:ring'?)",
        ),
        ({"data": {"source": "gaussians:{path}"}}, "no layout '{path}'; known: grid, ring"),
        (
            {"penalties": "nine"},
            "penalties: a mapping (weight_clip, gradient_penalty, dragan",
        ),
    ],
)
def test_error_messages(tree: dict[str, Any], message: str) -> None:
    assert message in message_of(tree)


@pytest.mark.parametrize("none", [None, "none", {}])
def test_no_penalties(none: Any) -> None:
    assert make_config({"penalties": none}).penalties == PenaltiesConfig()


def test_every_layout_of_the_points_is_known() -> None:
    for source in ("gaussians", "gaussians:", "gaussians:grid", "gaussians:ring"):
        config = make_config({"data": {"source": source}, "network": {"name": "mlp"}})
        assert len(gaussian_modes(config.data.source)) > 1


def test_all_problems_at_once() -> None:
    message = message_of({"loss": 3, "kimg": -1, "generator": {"lr": 99, "x": 1}})
    assert len(message.splitlines()) == 4


def test_problems_have_positions() -> None:
    document = parse_document("loss: hinge\ngenerator:\n  lr: 99\n", "best.yaml")
    with pytest.raises(ConfigError, match=r"^best.yaml:3:3: generator.lr: input should be"):
        make_config(document.tree, document)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        TrialConfig().loss = "hinge"  # type: ignore[misc]


def test_every_loss_has_facts() -> None:
    field = TrialConfig.model_fields["loss"]
    assert set(field.annotation.__args__) == set(LOSSES)


def test_every_network_has_resolutions() -> None:
    field = find_field(TrialConfig, ("network", "name"))
    assert field is not None
    assert set(field.annotation.__args__) == set(RESOLUTIONS)


def test_every_field_has_a_docstring() -> None:
    def undescribed(model: type[BaseModel], path: str) -> list[str]:
        silent = []
        for name, field in model.model_fields.items():
            members = (field.annotation, *getattr(field.annotation, "__args__", ()))
            inside = [m for m in members if isinstance(m, type) and issubclass(m, BaseModel)]
            for part in inside:
                assert part.__doc__
                silent += undescribed(part, f"{path}{name}.")
            if not inside and not field.description:
                silent.append(path + name)
        return silent

    assert undescribed(TrialConfig, "") == []


def test_nearest() -> None:
    assert did_you_mean("lrr", ["lr", "beta1"]) == " (did you mean 'lr'?)"
    assert did_you_mean("xyz", ["lr", "beta1"]) == ""


@pytest.mark.parametrize("end", ["lr_end", "beta2_end", "penalty_end", "ema_half_life_end"])
def test_a_constant_schedule_has_no_final_values(end: str) -> None:
    message = message_of({"schedule": {end: 0.5}})
    assert message.startswith(f"schedule.{end}: a constant schedule moves nothing")
    assert make_config({"schedule": {"name": "cosine", end: 0.5}})


def test_all_conflicts_at_once() -> None:
    message = message_of(
        {
            "data": {"resolution": 64},
            "network": {"name": "dcgan28"},
            "loss": "wgan",
            "label_smoothing": 0.1,
            "accumulation": 3,
            "schedule": {"beta2_end": 0.9},
            "augment": {"probability": "adaptive"},
        }
    )
    words = ("not 64", "no targets to smooth", "3 parts", "moves nothing", "no augmentation is on")
    assert all(each in message for each in words)
    assert len(message.splitlines()) == 5
