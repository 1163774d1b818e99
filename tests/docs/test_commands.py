"""Every command, space and piece of Python in the documentation can be read."""

from __future__ import annotations

import ast
import json
import re
import shlex
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.main import get_command

from gantune.cli import app
from gantune.config import TrialConfig, make_config
from gantune.space import load_space
from tests.docs.blocks import PAGES, SHELL, Block, blocks, commands
from tests.docs.exceptions import BEFORE, CHANGES, CODES, GIVEN, NOT_RUN

pytestmark = pytest.mark.docs

ALL = [block for page in PAGES for block in blocks(page)]


def of(*languages: str) -> list[Block]:
    return [block for block in ALL if block.language in languages]


def all_commands() -> list[str]:
    return [command for block in of(*SHELL) for command in commands(block)]


def calls(command: str) -> list[list[str]]:
    """The arguments of each call of gantune in a command."""
    parts = [shlex.split(part.partition(" > ")[0]) for part in re.split(r"&&|[|;]", command)]
    return [words[1:] for words in parts if words[0] == "gantune"]


@pytest.mark.parametrize("block", of(*SHELL), ids=str)
def test_commands_and_options_are_known(block: Block) -> None:
    known = get_command(app).commands  # type: ignore[attr-defined]
    for command in commands(block):
        for name, *arguments in calls(command):
            assert name in known, command
            known[name].make_context(name, arguments)  # raises where an option is unknown


@pytest.mark.parametrize("block", of("yaml"), ids=str)
def test_configs_and_spaces_and_their_parts_load(block: Block, tmp_path: Path) -> None:
    tree = YAML(typ="safe").load(block.text)
    if tree.keys() <= TrialConfig.model_fields.keys():
        make_config(tree)
        return
    text = block.text if "trial" in tree else f"trial: {{}}\n{block.text}"
    (tmp_path / "space.yaml").write_text(text)
    load_space(tmp_path / "space.yaml")


@pytest.mark.parametrize("block", of("python"), ids=str)
def test_python_is_python(block: Block) -> None:
    ast.parse(block.text)


@pytest.mark.parametrize("block", of("json"), ids=str)
def test_json_is_json(block: Block) -> None:
    json.loads(block.text)


def test_every_exception_still_stands_in_the_documentation() -> None:
    there = all_commands()
    assert [command for command in CODES if command not in there] == []
    unused = [p for p in NOT_RUN if not any(re.fullmatch(p, command) for command in there)]
    assert unused == []
    text = "\n".join(block.text for block in of(*SHELL, "python", "yaml"))
    assert [change for change in CHANGES if change not in text] == []
    pages = {str(page.relative_to(PAGES[0].parent)) for page in PAGES}
    assert {*BEFORE, *GIVEN} <= pages
