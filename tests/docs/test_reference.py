"""The reference of the space file is what the models say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

import pytest
from pydantic import BaseModel

from docs.make_reference import PAGES, fill_tables
from gantune.config import TrialConfig
from gantune.io.validation import find_field
from gantune.space.settings import SpaceFile

pytestmark = pytest.mark.docs

TEXT = "".join(page.read_text(encoding="utf-8") for page in PAGES)


def paths(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """The dotted paths of all values."""
    for name, field in model.model_fields.items():
        parts = [part for part in (field.annotation, *_members(field.annotation)) if is_model(part)]
        if parts:
            yield from paths(parts[0], f"{prefix}{name}.")
        else:
            yield prefix + name


def _members(annotation: object) -> tuple[type, ...]:
    return getattr(annotation, "__args__", ())


def is_model(part: object) -> TypeGuard[type[BaseModel]]:
    return isinstance(part, type) and issubclass(part, BaseModel)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_page_is_what_the_models_make_of_it(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert fill_tables(text) == text, "make docs"


@pytest.mark.parametrize("model", [TrialConfig, SpaceFile])
def test_every_value_has_a_row(model: type[BaseModel]) -> None:
    rows = set(re.findall(r"^\| `([\w.]+)` \|", TEXT, re.MULTILINE))
    assert set(paths(model)) - rows == set()


def test_a_row_has_words_range_default_and_source() -> None:
    assert find_field(TrialConfig, ("augment", "probability")) is not None
    row = next(line for line in TEXT.splitlines() if line.startswith("| `augment.probability`"))
    assert "| `adaptive` or number in [0, 1] | `1` |" in row
    assert "Karras et al. 2020, ADA" in row


def test_a_place_without_a_table_is_an_error() -> None:
    with pytest.raises(KeyError, match="nothing"):
        fill_tables("<!-- nothing -->\n<!-- end -->\n")
