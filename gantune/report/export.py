"""Configs in the formats that training scripts read: YAML, JSON and Python."""

import json
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any, Literal

from gantune.config.external import names_trainer, without_trainer
from gantune.io.yaml_document import parse_document

Format = Literal["yaml", "json", "python", "safetensors"]

_SUFFIXES: Mapping[str, Format] = {".json": "json", ".py": "python", ".safetensors": "safetensors"}
_WIDTH = 88  # columns of Python, the default of formatters
_ONE_LINE = 10**9  # room for values that are within a line already


def format_of(path: Path | None) -> Format:
    """The format of a file name's suffix; YAML for other suffixes."""
    return "yaml" if path is None else _SUFFIXES.get(path.suffix.lower(), "yaml")


def in_format(texts: Sequence[str], format_: Format, *, is_list: bool) -> str:
    """Configs, each a YAML text under a comment, as one text in this format.

    JSON has no comments. Python is ``config = gantune.TrialConfig(...)`` with every value; for an
    external trainer it is the mapping that the trainer receives. ``is_list``: JSON and Python hold
    a list, even of one config.
    """
    if format_ == "yaml":
        return "---\n".join(texts)
    trees = [parse_document(text).tree for text in texts]
    if format_ == "json":
        return _json(trees if is_list else trees[0])
    comments = [
        "".join(takewhile(lambda line: line.startswith("#"), text.splitlines(keepends=True)))
        for text in texts
    ]
    return _python(list(zip(comments, trees, strict=True)), is_list)


def _json(tree: Any) -> str:
    """JSON that is also valid YAML: unprintable characters are escaped."""
    text = json.dumps(tree, indent=2, ensure_ascii=False) + "\n"
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)


def _python(configs: Sequence[tuple[str, dict[str, Any]]], is_list: bool) -> str:
    is_own = all(names_trainer(tree) for _, tree in configs)
    lines = [] if is_own else ["import gantune\n\n"]
    if not is_list:
        ((comment, tree),) = configs
        return "".join([*lines, comment, "config = ", _config(tree, 0), "\n"])
    lines.append("configs = [\n")
    for comment, tree in configs:
        lines += [f"    {line}" for line in comment.splitlines(keepends=True)]
        lines.append(f"    {_config(tree, 1)},\n")
    return "".join([*lines, "]\n"])


def _config(tree: Mapping[str, Any], depth: int) -> str:
    if names_trainer(tree):
        return _literal(without_trainer(tree), depth, room=0)
    inner = "    " * (depth + 1)
    parts = [
        f"{inner}{name}={_literal(value, depth + 1, _WIDTH - len(inner) - len(name) - 2)},\n"
        for name, value in tree.items()
    ]
    return f"gantune.TrialConfig(\n{''.join(parts)}{'    ' * depth})"


def _literal(value: Any, depth: int, room: int) -> str:
    """A plain value as Python, on one line if it fits into ``room`` columns."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False) if value.isprintable() else repr(value)
    if not isinstance(value, dict | list) or not value:
        return repr(value)
    if isinstance(value, dict):
        opening, closing = "{}"
        heads = [(f"{_literal(key, 0, 0)}: ", item) for key, item in value.items()]
    else:
        opening, closing = "[]"
        heads = [("", item) for item in value]
    flat = ", ".join(f"{head}{_literal(item, 0, _ONE_LINE)}" for head, item in heads)
    if len(flat) + 2 <= room:
        return f"{opening}{flat}{closing}"
    inner = "    " * (depth + 1)
    parts = [
        f"{inner}{head}{_literal(item, depth + 1, _WIDTH - len(inner) - len(head) - 1)},\n"
        for head, item in heads
    ]
    return f"{opening}\n{''.join(parts)}{'    ' * depth}{closing}"
