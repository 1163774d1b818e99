"""A space whose trainer is a command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gantune.config import Command, dump_config, load_any_config
from gantune.errors import ConfigError, SpaceError
from gantune.space import SearchSpace, load_space
from gantune.space.command import unknown_placeholders, unpassed_settings

SPACE = """
command: python train.py --lr-g {generator.lr} --loss {loss} --out {folder} --seed {seed}
log: "{folder}/stats.jsonl"
score: {column: fid50k_full}
resume: --resume {checkpoint}
trial:
  kimg: 40
  loss: {choices: [hinge, vanilla]}
  generator: {lr: {low: 1e-5, high: 1e-2, log: true}}
"""


def load(folder: Path, text: str, *overrides: str) -> SearchSpace:
    path = folder / "mine.yaml"
    path.write_text(text)
    return load_space(path, overrides)


def test_its_configs_name_the_command(tmp_path: Path) -> None:
    space = load(tmp_path, SPACE)
    config = space.first_config()
    assert space.score_name == "fid50k_full" and not space.note
    path = tmp_path / "best.yaml"
    path.write_text(dump_config(config))
    assert load_any_config(path) == config


def test_it_runs_in_the_current_folder_unless_the_file_says_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    for more, folder in (("", tmp_path / "work"), ("working_folder: sub", tmp_path / "sub")):
        command = load(tmp_path, SPACE + more).own_trainer
        assert isinstance(command, Command) and command.working_folder == str(folder)


def test_the_hash_is_that_of_the_command_and_not_of_its_folder(tmp_path: Path) -> None:
    first = load(tmp_path, SPACE)
    assert load(tmp_path, SPACE + "working_folder: other\ngrace: 3").hash == first.hash
    assert load(tmp_path, SPACE.replace("--seed", "--s")).hash != first.hash
    assert load(tmp_path, SPACE.replace("fid50k_full", "kid")).hash != first.hash


def test_options_reach_its_keys_and_its_settings(tmp_path: Path) -> None:
    space = load(tmp_path, SPACE, "log=output", "generator.lr=1e-3", "score.column=kid")
    command, config = space.own_trainer, space.first_config()
    assert isinstance(command, Command) and command.log == "output"
    assert space.score_name == "kid"
    assert config.mapping()["generator"] == {"lr": 1e-3}


def test_finals_that_would_be_the_same_are_pointed_out(tmp_path: Path) -> None:
    note = load(tmp_path, SPACE.replace(" --seed {seed}", "")).note
    assert "the command is told no {seed}" in note


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("{generator.lr}", "{generator.rl}", "mine.yaml:2:1: command: no setting of trial is"),
        ("--loss {loss}", "", ""),
        ("{generator.lr}", "1", "generator.lr: the command is not told; write {generator.lr}"),
        (
            "  kimg: 40\n",
            "  kimg: 40\n  log: 3\n",
            "log: a config names its trainer with",
        ),
        ("score: {column: fid50k_full}", "", "score: is missing; write {column: NAME}"),
        ("score: {column: fid50k_full}", "score: {images: x}", "no real images to compare with"),
        ("trial:", "trainer: mine.py:train\ntrial:", "name one trainer, trainer: or command:"),
        ("command: ", "commands: ", "commands: unknown name (did you mean 'command'?)"),
        ("resume: --resume {checkpoint}", "resume: --r {check}", "did you mean 'checkpoint'"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, old: str, new: str, told: str
) -> None:
    text = SPACE.replace(old, new)
    assert text != SPACE
    if not told:
        load(tmp_path, text)
        return
    with pytest.raises(SpaceError) as raised:
        load(tmp_path, text)
    assert told in str(raised.value)


def test_its_keys_need_a_command(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match="log: belongs to a trainer that is started by"):
        load(tmp_path, "log: output\ntrial: {kimg: 40}")


def test_a_config_of_a_command_is_refused_where_gantune_s_is_needed(tmp_path: Path) -> None:
    from gantune.config import load_config

    path = tmp_path / "best.yaml"
    path.write_text(dump_config(load(tmp_path, SPACE).first_config()))
    with pytest.raises(ConfigError, match="belongs to the trainer python train"):
        load_config(path)


def made(line: str, **fields: Any) -> Command:
    return Command.model_validate({"command": line, "score": "fid", **fields})


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"command": "run {lr_g}"}, [("no setting of trial is named {lr_g}", "command")]),
        ({"command": "run {d}"}, [("{d} is a section; name one of its settings", "command")]),
        ({"command": "run {steps}"}, [("{steps} needs images_per_step", "command")]),
        ({"command": "run", "resume": "-n {next_epoch}"}, [("needs images_per_epoch", "resume")]),
        ({"command": "run {checkpoint}"}, [("{checkpoint} belongs in resume:", "command")]),
        ({"command": "run", "log": "{fold}/x"}, [("named {fold} (did you mean 'folder'?)", "log")]),
        ({"command": "run {seed}", "resume": "-r {checkpoint}"}, []),
        ({"command": "run {d.lr} {device} {settings.json}", "log": "{folder}/log"}, []),
    ],
)
def test_placeholders_without_a_setting(
    fields: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    made = Command.model_validate({"score": "fid", **fields})
    found = [*unknown_placeholders(made, ["lr", "d.lr", "kimg"])]
    assert len(found) == len(told)
    for (what, place), (expected, key) in zip(found, told, strict=True):
        assert expected in what and place == key


def test_settings_without_a_placeholder() -> None:
    names = ["kimg", "seed", "loss", "data.source", "lr", "d.lr"]
    assert unpassed_settings(made("run {lr}"), names) == ["d.lr"]
    assert unpassed_settings(made("run", environment={"LR": "{lr}"}), names) == ["d.lr"]
    assert unpassed_settings(made("run -c {settings.yaml}"), names) == []
    counted = made("run {lr} {d.lr}", images_per_step="{batch}", log="{batch}.csv")
    assert unpassed_settings(counted, [*names, "batch"]) == ["batch"]
