"""``TrialConfig``: what it accepts, what it says of the rest, and its file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from gantune.config import (
    RESOLUTIONS,
    PenaltiesConfig,
    R1Config,
    TrialConfig,
    absolute_source,
    advice,
    dump_config,
    load_config,
    make_config,
)
from gantune.config.loss_families import LOSSES
from gantune.data.sources.builtin import gaussian_modes
from gantune.errors import ConfigError
from gantune.io.validation import did_you_mean, find_field
from gantune.io.yaml_document import parse_document
from tests.examples import examples


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
        ({"batch_size": 16.0}, "batch_size: input should be a valid integer, not 16.0"),
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
def test_each_mistake_is_named(tree: dict[str, Any], message: str) -> None:
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


def test_every_loss_has_its_facts() -> None:
    field = TrialConfig.model_fields["loss"]
    assert set(field.annotation.__args__) == set(LOSSES)


def test_every_network_has_its_sizes() -> None:
    field = find_field(TrialConfig, ("network", "name"))
    assert field is not None
    assert set(field.annotation.__args__) == set(RESOLUTIONS)


def test_every_field_says_what_it_means() -> None:
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


@examples(25)
@given(
    st.builds(
        TrialConfig,
        loss=st.sampled_from(sorted(LOSSES)),
        kimg=st.floats(1e-3, 1e6),
        batch_size=st.integers(2, 65_536),
        penalties=st.builds(PenaltiesConfig, r1=st.none() | st.builds(R1Config)),
    )
)
def test_what_is_dumped_reads_back(config: TrialConfig) -> None:
    assert make_config(parse_document(dump_config(config)).tree) == config


def test_a_config_file_names_data_from_its_own_folder(tmp_path: Path) -> None:
    path = tmp_path / "runs" / "best.yaml"
    path.parent.mkdir()
    path.write_text("data: {source: ../images}\n")
    assert load_config(path).data.source == str(tmp_path / "images")


def test_a_folder_does_not_hide_a_built_in_source(tmp_path: Path) -> None:
    (tmp_path / "digits").mkdir()
    (tmp_path / "best.yaml").write_text("data: {source: digits}\n")
    assert load_config(tmp_path / "best.yaml").data.source == "digits"


@pytest.mark.parametrize("source", ["", "digits", "gaussians", "gaussians:ring"])
def test_built_in_sources_are_no_paths(source: str, tmp_path: Path) -> None:
    assert absolute_source(source, tmp_path) == source


@pytest.mark.parametrize("source", ["a\0b", "~nobody-of-this-name/x", "x" * 5000])
def test_a_name_no_file_can_have_is_left_to_the_reader(source: str, tmp_path: Path) -> None:
    assert source in absolute_source(source, tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 1\n", "not a training configuration"),
        ("trial: {}\n", "this is a space, not one training configuration"),
        ("loss: 3\n", r"best.yaml:1:1: loss: input should be"),
    ],
)
def test_a_file_that_is_no_config(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "best.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        load_config(tmp_path / "best.yaml")


def test_nearest() -> None:
    assert did_you_mean("lrr", ["lr", "beta1"]) == " (did you mean 'lr'?)"
    assert did_you_mean("xyz", ["lr", "beta1"]) == ""


@pytest.mark.parametrize("end", ["lr_end", "beta2_end", "penalty_end", "ema_half_life_end"])
def test_a_constant_schedule_moves_nothing(end: str) -> None:
    message = message_of({"schedule": {end: 0.5}})
    assert message.startswith(f"schedule.{end}: a constant schedule moves nothing")
    assert make_config({"schedule": {"name": "cosine", end: 0.5}})


@pytest.mark.parametrize(
    ("tree", "words"),
    [
        ({"penalties": {"weight_clip": {}}, "discriminator": {"norm": "spectral"}}, "rescales"),
        ({"penalties": {"weight_clip": {}}}, "made for loss wgan"),
        ({"loss": "wgan"}, "nothing bounds the critic"),
        (
            {"penalties": {"r1": {}}, "discriminator": {"norm": "batch"}},
            "which batch norm mixes",
        ),
        ({"penalties": {"r1": {}, "r1_r2": {}}}, "penalised twice"),
        ({"accumulation": 2}, "statistics are of a part"),
        ({"accumulation": 2, "generator": {"norm": "spectral"}}, "statistics are of a part"),
    ],
)
def test_what_is_seldom_meant_is_said(tree: dict[str, Any], words: str) -> None:
    assert any(words in sentence for sentence in advice(make_config(tree)))


@pytest.mark.parametrize(
    "tree", [{}, {"accumulation": 2, "generator": {"norm": "none"}}, {"penalties": {"r1": {}}}]
)
def test_what_is_usual_needs_no_advice(tree: dict[str, Any]) -> None:
    assert list(advice(make_config(tree))) == []


def test_all_disagreements_at_once() -> None:
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
    for words in ("not 64", "no targets to smooth", "3 parts", "moves nothing", "of nothing"):
        assert words in message
    assert len(message.splitlines()) == 5
