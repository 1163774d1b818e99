"""The command line of a user's trainer: placeholders, their values, and what is wrong with them."""

from __future__ import annotations

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from gantune.config import Command
from gantune.errors import ConfigError

SETTINGS: dict[str, Any] = {"kimg": 40.0, "seed": 3}


def command(line: str | list[str], **fields: Any) -> Command:
    return Command.model_validate({"command": line, "score": {"column": "fid"}, **fields})


def filled(
    line: str | list[str], settings: dict[str, Any] | None = None, **fields: Any
) -> list[str]:
    values = {"folder": "/out", "checkpoint": "/out/last.pt"}
    made = command(line, **fields)
    return made.command_line(SETTINGS | (settings or {}), values, resumes="resume" in fields)


def test_settings_become_arguments() -> None:
    line = "python train.py --lr-g {generator.lr} --out={folder}/x --seed {seed} --kimg {kimg}"
    assert filled(line, {"generator": {"lr": 2e-5}}) == [
        *("python", "train.py", "--lr-g", "2e-05", "--out=/out/x", "--seed", "3", "--kimg", "40"),
    ]


@pytest.mark.parametrize(
    ("value", "written"),
    [(True, "true"), (0.0002, "0.0002"), (64, "64"), ([0.5, 0.9], "0.5,0.9"), ("a b", "a b")],
)
def test_values_are_written_as_programs_read_them(value: Any, written: str) -> None:
    assert filled("run --x {x}", {"x": value}) == ["run", "--x", written]


@pytest.mark.parametrize("settings", [{"gp": None}, {}])
def test_an_option_without_a_value_is_left_out(settings: dict[str, Any]) -> None:
    assert filled("run --lr 1 --gp {gp} --gp={gp} {gp}", settings) == ["run", "--lr", "1"]
    assert filled("run --dims {gp}x3 --lr 1", settings) == ["run", "--lr", "1"]


def test_quotes_and_line_ends_are_those_of_a_shell() -> None:
    line = """python 'my train.py' \\
        --name "{name}"  --braces {{x}}"""
    assert filled(line, {"name": "it's"}) == [
        *("python", "my train.py", "--name", "it's", "--braces", "{x}")
    ]


def test_a_list_is_taken_as_it_is() -> None:
    assert filled(["run it", "--x {x}"], {"x": 1}) == ["run it", "--x 1"]


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0")))
def test_no_value_is_ever_split_or_run(text: str) -> None:
    assert filled("run {x} end", {"x": text}) == ["run", text, "end"]
    shell = filled("run {x} end", {"x": text}, shell=True)
    assert shell[:2] == ["/bin/sh", "-c"] and shlex.split(shell[2]) == ["run", text, "end"]


def test_lengths_in_steps_and_epochs() -> None:
    fields = {"images_per_step": "{batch}", "images_per_epoch": 15_000}
    line = "run {steps} {epochs}"
    assert filled(line, {"batch": 64}, **fields) == ["run", "625", "3"]


def test_a_setting_of_the_same_name_comes_first() -> None:
    assert filled("run {steps}", {"steps": 7}, images_per_step=64) == ["run", "7"]


def test_resume_adds_its_arguments() -> None:
    resume = "--resume '{checkpoint}'"
    assert filled("run {seed}", resume=resume) == ["run", "3", "--resume", "/out/last.pt"]


def test_where_a_run_resumes() -> None:
    made = command("run", images_per_step="{batch}", images_per_epoch=15_000)
    assert made.resumed_values(15.5, {"kimg": 40.0, "batch": 100}) == {
        **{"done_kimg": 15.5, "done_steps": 155, "done_epochs": 1, "next_epoch": 2},
        **{"left_kimg": 25, "left_steps": 245, "left_epochs": 2},
    }


@pytest.mark.parametrize(("images", "epochs"), [(202_599, 41), (202_599, 164), (29_843, 35)])
def test_whole_epochs_are_whole_whatever_floats_make_of_them(images: int, epochs: int) -> None:
    made = command("run", images_per_epoch=images)
    done = epochs * images / 1000
    assert made.resumed_values(done, {"kimg": 2 * done})["done_epochs"] == epochs
    assert made.values({"kimg": done})["epochs"] == epochs


def test_a_section_is_no_argument() -> None:
    with pytest.raises(ConfigError, match="a section cannot be an argument"):
        filled("run {d}", {"d": {"lr": 1}})


@pytest.mark.parametrize(
    ("line", "fields", "told"),
    [
        ("", {}, "at least 1 character"),
        ("  ", {}, "is empty"),
        ("python 'train.py", {}, "cannot be split into arguments: No closing quotation"),
        ("CUDA_VISIBLE_DEVICES=0 python x.py", {}, "environment: {CUDA_VISIBLE_DEVICES: '0'}"),
        ("cd x && python x.py", {}, "'&&' needs a shell; add shell: true"),
        ("run {a b}", {}, "{a b} names no setting; write {{ and }} for braces themselves"),
        (["run"], {"shell": True}, "a shell runs one text"),
        ("run", {"score": None}, "score is missing|is missing; write {column: NAME}"),
        ("run", {"score": {}}, "one of the two"),
        ("run", {"score": {"images": "x", "goal": "max"}}, "goal and file belong to column"),
        ("run", {"images_per_step": "batch"}, "such as 64 or '{batch_size}'"),
        ("run", {"images_per_step": 0}, "is not above 0"),
        ("run", {"images_per_step": "{batch}*4"}, "such as 64 or '{batch_size}'"),
        ("run", {"resume": "--from 'x"}, "No closing quotation"),
        ("run $HOME/x", {}, "only a shell replaces '$HOME/x'"),
        ("run ~/x", {}, "only a shell replaces '~/x'"),
        ('run "{x}"', {"shell": True}, "{x} stands within quotes"),
        ("run 'a \"{x}'", {"shell": True}, "{x} stands within quotes"),
    ],
)
def test_what_is_wrong_is_said(line: str | list[str], fields: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError) as raised:
        command(line, **fields)
    assert any(part in str(raised.value) for part in told.split("|"))


@pytest.mark.parametrize(
    ("column", "goal", "name"),
    [
        ("fid50k_full", "min", "fid50k_full"),
        ("Metrics/FID (5k)", "min", "Metrics_FID_5k"),
        ("is", "max", "minus_is"),
        ("5k", "min", "score_5k"),
    ],
)
def test_the_name_of_a_score(column: str, goal: str, name: str) -> None:
    made = command("run", score={"column": column, "goal": goal})
    assert made.score is not None and made.score.name == name
