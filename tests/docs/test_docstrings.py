"""What users get hold of explains itself: every public name, field and method."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest

import gantune
from gantune import config, errors
from gantune.config.sections import ConfigModel
from gantune.events import Observer
from gantune.gan.networks import Networks
from gantune.health import Verdict
from gantune.health.diagnosis import Diagnosis
from gantune.scores import Score
from gantune.scores.score import HeldOut, Protocol
from gantune.space import SearchSpace
from gantune.trial.records import Outcome, TrialRecord
from gantune.trial.session import Session
from gantune.tuner.state import RunState, Timing

pytestmark = pytest.mark.docs

PUBLIC = [getattr(gantune, name) for name in gantune.__all__]
FUNCTIONS = [item for item in PUBLIC if inspect.isroutine(item)]
GIVEN_BACK = [
    *(Diagnosis, HeldOut, Networks, Outcome, Protocol, RunState, Score, SearchSpace, Session),
    *(Timing, TrialRecord, Verdict, Observer),
]
PARTS = [getattr(config, name) for name in config.__all__]
CLASSES = [
    *(item for item in PUBLIC if inspect.isclass(item)),
    *GIVEN_BACK,
    *(part for part in PARTS if inspect.isclass(part) and issubclass(part, ConfigModel)),
]

_PLAIN = {"device", "path", "source"}  # a device by its name, and the file that is read


def undocumented(of: type) -> Iterator[str]:
    """Public fields and methods without words of their own, or in the docstring of the class."""
    (tree,) = ast.parse(textwrap.dedent(inspect.getsource(of))).body
    assert isinstance(tree, ast.ClassDef)
    for node, following in zip(tree.body, [*tree.body[1:], None], strict=True):
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            name, has_words = node.target.id, _is_text(following)
        elif isinstance(node, ast.FunctionDef):
            name, has_words = node.name, ast.get_docstring(node) is not None
        else:
            continue
        if not name.startswith("_") and not has_words and f"``{name}``" not in (of.__doc__ or ""):
            yield name


def _is_text(node: ast.stmt | None) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def _explained_by_its_type(of: type, name: str) -> bool:
    """A part of a config, whose own docstring says what it is."""
    field: Any = getattr(of, "model_fields", {}).get(name)
    annotation = field.annotation if field else None
    members = (annotation, *getattr(annotation, "__args__", ()))
    return any(isinstance(part, type) and issubclass(part, ConfigModel) for part in members)


@pytest.mark.parametrize("of", CLASSES, ids=lambda of: of.__name__)
def test_every_field_and_method_of_a_class_is_explained(of: type) -> None:
    assert of.__doc__
    assert [name for name in undocumented(of) if not _explained_by_its_type(of, name)] == []


@pytest.mark.parametrize("item", FUNCTIONS, ids=lambda item: item.__name__)
def test_every_function_says_what_it_raises_and_its_arguments(item: Any) -> None:
    text = item.__doc__ or ""
    raised = re.findall(r"``(\w+Error)``", text)
    assert re.search("[Rr]aises", text) and raised
    assert all(hasattr(errors, name) for name in raised)
    names = [name for name in inspect.signature(item).parameters if name not in _PLAIN]
    assert [name for name in names if f"``{name}``" not in text] == []
