"""Writes results: JSON and Markdown in ``results/``, and the text between a page's markers."""

from __future__ import annotations

import json
import os
import platform
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch

from gantune.io.files import write_text

__all__ = ["PAGE", "RESULTS", "Report", "between", "describe_machine", "score_name", "table"]

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PAGE = ROOT / "docs" / "recipes.md"


class Report:
    """The files of one benchmark on one kind of machine.

    ``results/<name>_<cpu|gpu>.json`` and ``.md``, and the text on the page between the comments
    ``<!-- <name>_<cpu|gpu> -->`` and ``<!-- end -->``.
    """

    def __init__(
        self, name: str, device: torch.device, folder: Path = RESULTS, page: Path = PAGE
    ) -> None:
        self.name = f"{name}_{'gpu' if device.type == 'cuda' else device.type}"
        self.json, self._markdown = (folder / f"{self.name}{end}" for end in (".json", ".md"))
        self._page = page

    def read(self) -> dict[str, Any]:
        """The results of an earlier run, or an empty mapping."""
        if not self.json.exists():
            return {}
        tree: dict[str, Any] = json.loads(self.json.read_text(encoding="utf-8"))
        return tree

    def write(self, tree: dict[str, Any], title: str, text: str) -> None:
        """Writes all three; the page only if it has the comments."""
        self.json.parent.mkdir(parents=True, exist_ok=True)
        write_text(self.json, json.dumps(tree, indent=2) + "\n")
        write_text(self._markdown, f"# {title}\n\n{text}\n")
        if self._page.exists():
            page = self._page.read_text(encoding="utf-8")
            write_text(self._page, between(page, self.name, text))


def between(page: str, name: str, text: str) -> str:
    """``page`` with ``text`` between ``<!-- name -->`` and the next ``<!-- end -->``."""
    place = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    return place.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; a column whose name begins with ``>`` is right-aligned."""
    lines = [
        [column.removeprefix(">") for column in columns],
        ["--:" if column.startswith(">") else ":--" for column in columns],
        *rows,
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def score_name(extractor: str) -> str:
    """The name of scores with this extractor: only the Inception network gives a plain FID."""
    return "fid" if extractor == "inception" else f"fid[{extractor}]"


def describe_machine(device: torch.device, processes: int, threads: int = 1) -> str:
    """The machine in words, with the number of processes and of their threads."""
    at_once = f"{processes} process{'es' if processes > 1 else ''}"
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        return f"{at_once} on one {name}, torch {torch.__version__}"
    used = f"{at_once} of {'one thread' if threads == 1 else f'{threads} threads'}"
    cores = f"a machine of {os.cpu_count()} cores, {_processor()}, no GPU"
    return f"{used} on {cores}, torch {torch.__version__}"


def _processor() -> str:
    names = Path("/proc/cpuinfo")
    if names.exists():
        for line in names.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
