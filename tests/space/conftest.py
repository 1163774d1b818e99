"""Fixtures for tests of spaces: a space from its text, and the problems of a text."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from gantune.errors import SpaceError
from gantune.space import SearchSpace, load_space, shipped_spaces
from tests.examples import in_integration

Load = Callable[..., SearchSpace]
Problems = Callable[..., list[str]]

_LONG = "mixture2d"  # its thousands of combinations take a second
every_shipped_space = pytest.mark.parametrize(
    "name", [*sorted({*shipped_spaces()} - {_LONG}), *in_integration(_LONG)]
)


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Reads a space from its text, written to ``s.yaml``."""

    def read(text: str, *overrides: str) -> SearchSpace:
        path = tmp_path / "s.yaml"
        path.write_text(textwrap.dedent(text), encoding="utf-8")
        return load_space(path, overrides)

    return read


@pytest.fixture
def problems(load: Load, tmp_path: Path) -> Problems:
    """The problems of a space's text, one line each, without the folder's name."""

    def read(text: str, *overrides: str) -> list[str]:
        with pytest.raises(SpaceError) as caught:
            load(text, *overrides)
        return str(caught.value).replace(f"{tmp_path}/", "").splitlines()

    return read
