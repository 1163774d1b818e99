"""Reads YAML into plain values with the position of each key and value, and writes YAML.

The reader walks the node graph instead of taking a loader's result. So all duplicate keys,
forbidden tags and circular aliases of a file are reported together, each with line and column.
"""

import io
import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError
from ruamel.yaml.events import NodeEvent
from ruamel.yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode
from ruamel.yaml.parser import Parser
from ruamel.yaml.representer import SafeRepresenter

from gantune.errors import Problem, SpaceError, first_line, summarize_error

KeyPath = tuple[str | int, ...]
"""The keys and list indices that lead to a value of a document."""

# A space file has a few thousand bytes, and a few hundred values. Larger ones take long to read.
_MOST_VALUES = 20_000  # with their keys, aliases included
_MOST_BYTES = 1 << 20
_DEEPEST = 50  # mappings and lists within each other
_LARGEST_INTEGER = 10**300  # larger ones do not fit a floating point number
_TOO_MANY = f"more than {_MOST_VALUES:,} values; a space file has a few hundred"
_TOO_DEEP = f"mappings or lists are nested more than {_DEEPEST} deep"
_MERGE = "tag:yaml.org,2002:merge"
_WORD = re.compile(r"[A-Za-z_][\w.+-]*")  # a key that may stand without a value
_SCALARS = {f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "null")}


@dataclass(frozen=True)
class Document:
    """A YAML file as plain dicts, lists and scalars, with the position of each value.

    ``positions`` maps a path such as ``("trial", "batch_size")`` to the (line, column) of its key,
    both counted from 1. ``text`` is the content of the file.
    """

    tree: Any
    file: str = ""
    positions: Mapping[KeyPath, tuple[int, int]] = field(default_factory=dict)
    text: str = ""

    def problem(self, path: KeyPath, message: str) -> Problem:
        """A problem at ``path``, or at its nearest ancestor that the file contains."""
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
        with path.open("rb") as file:
            content = file.read(_MOST_BYTES + 1)
        if len(content) > _MOST_BYTES:
            raise SpaceError(
                f"{path}: larger than {_MOST_BYTES >> 20} MiB; space files and configs are much "
                "smaller, images and tables belong into files of their own"
            )
        text = content.decode()
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path}: not UTF-8 text (byte {error.start})") from None
    except OSError as error:
        raise SpaceError(f"{path}: cannot be read: {error.strerror}") from None
    return parse_document(text, str(path))


def parse_document(text: str, file: str = "") -> Document:
    """Parses YAML 1.2 text. Raises ``SpaceError`` with every problem found."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # YAML allows to define an anchor twice
            yaml = YAML(typ="safe", pure=True)
            yaml.Parser = _Parser
            node = yaml.compose(io.StringIO(text))
    except _TooLargeError as error:
        raise SpaceError([Problem(str(error), file)]) from None
    except RecursionError:
        raise SpaceError([Problem(_TOO_DEEP, file)]) from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = (mark.line + 1, mark.column + 1) if mark else (None, None)
        what = str(error.problem or error.context or "not YAML").strip()
        what = "a tab stands here; indent with spaces" if "'\\t'" in what else what
        raise SpaceError([Problem(f"not YAML: {what}", file, *place)]) from None
    except Exception as error:  # on malformed text the parser can raise anything
        raise SpaceError([Problem(f"not YAML: {summarize_error(error)}", file)]) from None
    if node is None:
        raise SpaceError([Problem("the file is empty", file)])
    walk = _Walk(file)
    tree = walk.value(node, ())
    if walk.problems:
        raise SpaceError(walk.problems)
    return Document(tree, file, walk.positions, text)


def format_document(tree: Any) -> str:
    """Formats plain values as YAML text; ``parse_document`` reads back the same values."""
    yaml = YAML(typ="safe", pure=True)
    yaml.Representer = _Representer
    yaml.default_flow_style = False
    yaml.sort_base_mapping_type_on_output = False  # type: ignore[assignment]
    yaml.width = 10_000  # keeps a long path on the line of its key
    stream = io.StringIO()
    yaml.dump(tree, stream)
    return stream.getvalue()


def as_comment(text: str) -> str:
    """Text as YAML comment lines."""
    return "\n".join(f"# {line}".rstrip() for line in text.strip().splitlines())


class _Representer(SafeRepresenter):
    """Quotes text with characters that YAML would not read back, such as U+0085."""

    def represent_str(self, data: str) -> Any:
        return self.represent_scalar(
            "tag:yaml.org,2002:str", data, style=None if data.isprintable() else '"'
        )


_Representer.add_representer(str, _Representer.represent_str)


class _TooLargeError(Exception):
    """More values than a document may have."""


class _Parser(Parser):
    """Stops at a number of values, as parsing is what takes long."""

    _values = 0

    def get_event(self) -> Any:
        event = super().get_event()
        self._values += isinstance(event, NodeEvent)
        if self._values > _MOST_VALUES:
            raise _TooLargeError(_TOO_MANY)
        return event


class _Walk:
    """Turns a node graph into plain values and collects positions and problems."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.positions: dict[KeyPath, tuple[int, int]] = {}
        self.problems: list[Problem] = []
        self._ancestors: set[int] = set()  # of the current node, to find circular aliases
        self._count = 0
        self._constructor = YAML(typ="safe", pure=True).constructor

    def value(self, node: Node, path: KeyPath) -> Any:
        self.positions.setdefault(path, _place(node))
        self._count += 1
        if self._count > _MOST_VALUES:
            if self._count == _MOST_VALUES + 1:
                self._report(node, _TOO_MANY)
            return None
        if len(path) > _DEEPEST:
            self._report(node, _TOO_DEEP)
            return None
        if id(node) in self._ancestors:
            self._report(node, "an alias that contains itself")
            return None
        self._ancestors.add(id(node))
        try:
            if isinstance(node, MappingNode):
                return self._mapping(node, path)
            if isinstance(node, SequenceNode):
                return [self.value(item, (*path, i)) for i, item in enumerate(node.value)]
            return self._scalar(node)
        finally:
            self._ancestors.discard(id(node))

    def _mapping(self, node: MappingNode, path: KeyPath) -> dict[str, Any]:
        tree: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, ScalarNode):
                self._report(key_node, "a key must be a plain word")
                continue
            if str(key_node.tag) == _MERGE:
                self._report(key_node, "merge keys (<<) are not supported; write the values out")
                continue
            key = str(key_node.value)
            if node.flow_style and _is_empty(value_node) and not _WORD.fullmatch(key):
                what = f"{key!r} has no value; write {{name: value}} with a space after the colon"
                self._report(key_node, f"{what}, and quote text with a comma")
                continue
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
            if tag == "timestamp":
                self._report(node, f"{node.value} is a date; write '{node.value}' if it is text")
                return None
            self._report(node, f"a value of type {tag!r} is not allowed here")
            return None
        try:
            value = self._constructor.construct_object(node)
        except Exception as error:  # for a wrong tag a constructor can raise anything
            self._report(node, f"{node.value!r} cannot be read: {first_line(error)}")
            return None
        if isinstance(value, int) and abs(value) > _LARGEST_INTEGER:
            self._report(node, "this number is too large")
            return None
        return value

    def _report(self, node: Node, message: str) -> None:
        self.problems.append(Problem(message, self.file, *_place(node)))


def _is_empty(node: Node) -> bool:
    return isinstance(node, ScalarNode) and node.start_mark.index == node.end_mark.index


def _place(node: Node) -> tuple[int, int]:
    mark = node.start_mark
    return mark.line + 1, mark.column + 1
