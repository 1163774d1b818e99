"""Configs as YAML, JSON and Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gantune.config import ExternalConfig, TrialConfig, dump_config, load_any_config, load_config
from gantune.config.external import make_external_config
from gantune.io.yaml_document import format_document
from gantune.report.export import format_of, in_format
from gantune.space import load_space

COMMENT = "# fid 8.10 ± 0.3 over 3 seeds\n# made by: gantune search dcgan\n"


def executed(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    exec(compile(text, "pasted.py", "exec"), found)
    return found


@pytest.mark.parametrize("space", ["dcgan", "wgan_gp", "r3gan", "mixture2d"])
def test_every_format_holds_the_same_config(space: str, tmp_path: Path) -> None:
    text = COMMENT + dump_config(load_space(space).first_config())
    yaml, made = tmp_path / "best.yaml", tmp_path / "best.json"
    yaml.write_text(in_format([text], "yaml", is_list=False))
    made.write_text(in_format([text], "json", is_list=False))
    config = load_config(yaml)
    assert yaml.read_text() == text
    assert load_config(made) == config
    assert TrialConfig.model_validate(json.loads(made.read_text())) == config
    assert executed(in_format([text], "python", is_list=False))["config"] == config


def test_python_is_formatted_and_keeps_the_comment() -> None:
    text = in_format([COMMENT + dump_config(TrialConfig())], "python", is_list=False)
    assert text.startswith(f"import gantune\n\n{COMMENT}config = gantune.TrialConfig(\n    data=")
    assert max(map(len, text.splitlines())) <= 88
    assert '    ema={"half_life": 10.0, "ramp": 0.05},\n' in text


def test_several_are_a_list(tmp_path: Path) -> None:
    configs = [TrialConfig(seed=seed) for seed in (1, 2)]
    texts = [f"# seed {config.seed}\n{dump_config(config)}" for config in configs]
    python = in_format(texts, "python", is_list=True)
    assert executed(python)["configs"] == configs
    assert "    # seed 2\n    gantune.TrialConfig(" in python
    trees = json.loads(in_format(texts, "json", is_list=True))
    assert [TrialConfig.model_validate(tree) for tree in trees] == configs
    assert len(executed(in_format(texts[:1], "python", is_list=True))["configs"]) == 1


def test_an_external_trainers_config_is_its_mapping(tmp_path: Path) -> None:
    values = {
        "kimg": 1.0,
        "name": 'it\'s "quoted" \\ <b>\u0085',
        "deep": {"list": [1, 2.5, None, True], "none": {}, "a-b": {"x": ["y" * 90]}},
    }
    config = make_external_config("mine:train", values)
    text = dump_config(config)
    found = executed(in_format([text], "python", is_list=False))
    assert found["config"] == config.mapping() and "gantune" not in found
    path = tmp_path / "best.json"
    path.write_text(in_format([text], "json", is_list=False))
    again = load_any_config(path)
    assert isinstance(again, ExternalConfig) and again.values == config.values


def test_a_text_that_looks_like_code_stays_text() -> None:
    tree = {"data": {"source": '"); import os; os.abort() #'}}
    found = executed(in_format([format_document(tree)], "python", is_list=False))
    assert found["config"].data.source == tree["data"]["source"]


def test_the_format_follows_the_files_suffix() -> None:
    names = {"best.json": "json", "best.PY": "python", "best.yaml": "yaml", "best": "yaml"}
    assert {name: format_of(Path(name)) for name in names} == names
    assert format_of(None) == "yaml"
