"""YAML text to a plain tree whose every key and value has a position, and back.

Read from the node graph, not from a loader's result, so that all duplicate keys, forbidden tags
and circular aliases of a file are reported together, each with its line and column.
"""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.representer import SafeRepresenter

from gantune.errors import Problem, SpaceError

Path_ = tuple[str | int, ...]


_LARGEST_NODE_COUNT = 100_000  # an alias bomb ends here, not in memory


_LARGEST_FILE = 4 << 20  # bytes; a space file has a few thousand


_LARGEST_NUMBER = 10**300  # what is beyond has no floating point number


_MERGE = "tag:yaml.org,2002:merge"


_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


@dataclass(frozen=True)
class Document:
    """A YAML file as plain dicts, lists and scalars, with the place of everything in it.

    ``positions`` maps a path such as ``("trial", "batch_size")`` to the (line, column) of its key,
    both counted from 1. ``text`` is the file as it was read.
    """

    tree: Any
    file: str = ""
    positions: Mapping[Path_, tuple[int, int]] = field(default_factory=dict)
    text: str = ""

    def problem(self, path: Path_, message: str) -> Problem:
        """A problem at ``path``, or at its nearest ancestor that the file holds."""
        for length in range(len(path), -1, -1):
            if path[:length] in self.positions:
                line, column = self.positions[path[:length]]
                return Problem(message, self.file, line, column)
        return Problem(message, self.file)


def read_document(path: Path | str) -> Document:
    """Reads a YAML file. Raises ``SpaceError`` with every problem found."""
    path = Path(path)
    try:
        if not path.exists():
            raise SpaceError(f"{path}: no such file")
        if path.is_dir():
            raise SpaceError(f"{path}: is a folder, not a YAML file")
        if path.stat().st_size > _LARGEST_FILE:
            raise SpaceError(f"{path}: over {_LARGEST_FILE >> 20} MiB; this is no space file")
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_document(text, str(path))


def parse_document(text: str, file: str = "") -> Document:
    """Parses YAML 1.2 text. Raises ``SpaceError`` with every problem found."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of an anchor that is used again, which YAML allows
            node = YAML(typ="safe", pure=True).compose(io.StringIO(text))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        what = str(error.problem or error.context or "not YAML").strip()
        raise SpaceError([Problem(f"not YAML: {what}", file, *place)]) from None
    except Exception as error:  # a parser that loses its way raises an open set
        what = f"{type(error).__name__}: {_first_line(error)}"
        raise SpaceError([Problem(f"not YAML: {what}", file)]) from None
    if node is None:
        raise SpaceError([Problem("the file is empty", file)])
    walk = _Walk(file)
    try:
        tree = walk.value(node, ())
    except RecursionError:
        raise SpaceError([Problem("nested too deeply", file)]) from None
    if walk.problems:
        raise SpaceError(walk.problems)
    return Document(tree, file, walk.positions, text)


def format_document(tree: Any) -> str:
    """A plain tree as YAML text that ``parse_document`` reads back to the same tree."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000  # a path stays on the line of its key
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


class _Representer(SafeRepresenter):
    """Quotes text that YAML would read otherwise than it is written, such as a U+0085."""


def _represent_text(representer: _Representer, text: str) -> ScalarNode:
    style = None if text.isprintable() else '"'
    node: ScalarNode = representer.represent_scalar("tag:yaml.org,2002:str", text, style=style)
    return node


_Representer.add_representer(str, _represent_text)


class _Walk:
    """Turns a node graph into plain values, noting positions and problems on the way."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.positions: dict[Path_, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._open: set[int] = set()
        self._count = 0
        self._constructor = YAML(typ="safe", pure=True).constructor

    def value(self, node: Node, path: Path_) -> Any:
        self.positions.setdefault(path, _place(node))
        self._count += 1
        if self._count > _LARGEST_NODE_COUNT:
            if self._count == _LARGEST_NODE_COUNT + 1:
                self._report(node, f"more than {_LARGEST_NODE_COUNT} values")
            return None
        if id(node) in self._open:
            self._report(node, "an alias that contains itself")
            return None
        self._open.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._open.discard(id(node))

    def _mapping(self, node: MappingNode, path: Path_) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._report(key_node, "a key must be a plain word")
                continue
            if str(key_node.tag) == _MERGE:
                self._report(key_node, "merge keys (<<) are not supported; write the values out")
                continue
            key = str(key_node.value)
            if key in tree:
                first = self.positions[(*path, key)][0]
                self._report(key_node, f"duplicate key {key!r} (first on line {first})")
                continue
            self.positions[(*path, key)] = _place(key_node)
            tree[key] = self.value(value_node, (*path, key))
        return tree

    def _scalar(self, node: Node) -> Any:
        if str(node.tag) not in _SCALARS:
            tag = str(node.tag).removeprefix("tag:yaml.org,2002:")
            self._report(node, f"a value of type {tag!r} is not allowed here")
            return None
        try:
            value = self._constructor.construct_object(node)
        except Exception as error:  # a wrong tag makes a constructor raise an open set
            self._report(node, f"{node.value!r} cannot be read: {_first_line(error)}")
            return None
        if isinstance(value, int) and abs(value) > _LARGEST_NUMBER:
            self._report(node, "a number too large to be meant")
            return None
        return value

    def _report(self, node: Node, message: str) -> None:
        self.problems.append(Problem(message, self.file, *_place(node)))


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


def _place(node: Node) -> tuple[int, int]:
    mark = node.start_mark
    return mark.line + 1, mark.column + 1


def commented(text: str) -> str:
    """Text as YAML comment lines."""
    return "\n".join(f"# {line}".rstrip() for line in text.strip().splitlines())
