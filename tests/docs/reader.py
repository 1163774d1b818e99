"""A reader who types what the documentation says, in a folder with all that it speaks of."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from gantune.cli import main
from gantune.space import load as shipped
from tests.docs.blocks import ROOT, SHELL, Block, blocks, commands
from tests.docs.exceptions import BEFORE, CHANGES, CODES, GIVEN, NOT_RUN

__all__ = ["Reader", "small_spaces", "write_material"]


class Reader:
    """Runs the blocks of one page, in their order, in the current folder."""

    def __init__(self, page: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._page, self._monkeypatch = page, monkeypatch
        self._name = str(page.relative_to(ROOT))
        self._given = GIVEN.get(self._name, "")
        self._names: dict[str, Any] = {"__name__": "page"}

    def wrong(self) -> Iterator[str]:
        """What does not go as the page says."""
        for command in BEFORE.get(self._name, []):
            yield from self._run("before", command)
        if self._given:
            exec(self._given, self._names)
        for block in blocks(self._page):
            if block.file is not None:
                self._write(block)
            elif block.language in SHELL:
                for command in commands(block):
                    if not any(re.fullmatch(pattern, command) for pattern in NOT_RUN):
                        yield from self._run(str(block), command)
            elif block.language == "python":
                yield from self._execute(block)

    def _write(self, block: Block) -> None:
        given = self._given if block.language == "python" else ""
        file = Path(str(block.file))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{given}\n{changed(block.text)}")

    def _run(self, place: str, command: str) -> Iterator[str]:
        typed = changed(command)
        is_call = typed.startswith("gantune ") and not set("|>&;") & set(typed)
        begun = time.perf_counter()
        code = self._call(shlex.split(typed)) if is_call else _shell(typed)
        print(
            f"\n--- {time.perf_counter() - begun:.1f} s: {typed}"
        )  # shown where a page goes wrong
        if code != CODES.get(command, 0):
            yield f"{place}: exit code {code}: {typed}"

    def _call(self, words: list[str]) -> int:
        """The command line in this process: torch is imported once for all of them."""
        self._monkeypatch.setattr(sys, "argv", words)
        try:
            main()
        except SystemExit as ended:
            return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        return 0

    def _execute(self, block: Block) -> Iterator[str]:
        try:
            exec(compile(changed(block.text), str(block), "exec"), self._names)
        except Exception:
            yield f"{block}: {traceback.format_exc()}"


def changed(text: str) -> str:
    """The text with a small budget in place of a large one."""
    for given, (instead, _) in CHANGES.items():
        text = text.replace(given, instead)
    return text


def _shell(command: str) -> int:
    folder = str(Path(sys.executable).parent)
    environment = {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}
    return subprocess.run(["bash", "-c", command], env=environment, timeout=600).returncode


def small_spaces(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the shipped spaces be their own small copies: one trial of some steps."""
    yaml = YAML()
    folder.mkdir()
    for source in sorted((ROOT / "search_spaces").glob("*")):
        text = source.read_text(encoding="utf-8")
        if source.suffix == ".yaml":
            title, tree = text.split("\n", 1)[0], yaml.load(text)
            tree["budget"] = {"trials": 1}
            tree["objective"] = {"score": "fid", "samples": 40, "rung_samples": 20}
            tree["pruning"], tree["finalists"] = {}, {"top": 0}
            tree["trial"] |= {"kimg": 0.5}
            if "network" in tree["trial"]:
                tree["trial"]["network"]["width"] = 4
            with (folder / source.name).open("w") as file:
                file.write(f"{title}\n")
                yaml.dump(tree, file)
        else:
            (folder / source.name).write_text(text)
    monkeypatch.setattr(shipped, "_spaces_folder", lambda: folder)


def write_material(folder: Path) -> None:
    """Images, samples and logs by the names that the pages give them."""
    random = np.random.default_rng(0)
    for name, size in (("images", 32), ("a_hundred_photos", 32), ("fashion_mnist", 28)):
        _write_images(folder / "path/to" / name, random.integers(0, 256, (260, size, size)))
    for label in ("cats", "dogs"):
        images = random.integers(0, 256, (70, 32, 32))
        _write_images(folder / "path/to/folders" / label, images)
    _write_images(folder / "samples", random.integers(0, 256, (40, 32, 32)))
    for name in ("a.npz", "b.npz"):
        images = random.integers(0, 256, (40, 1, 32, 32)).astype("uint8")
        np.savez(folder / name, images=images)
    rows = [f"{step},{step},{0.0},5,{step % 7 + 40},{0.0},5" for step in range(0, 2000, 10)]
    head = "step,epoch,d_loss,g_loss,fid,Loss/D,Loss/G"
    for name in ("log.csv", "train.csv"):
        (folder / name).write_text("\n".join([head, *rows]) + "\n")
    (folder / "train.py").write_text(
        "import json, time\n"
        "for step in range(100_000):\n"
        "    print(json.dumps({'step': step, 'd_loss': float('nan'), 'g_loss': 1.0}))\n"
    )


def _write_images(folder: Path, images: np.ndarray[Any, Any]) -> None:
    folder.mkdir(parents=True)
    for number, image in enumerate(images.astype("uint8")):
        Image.fromarray(image).save(folder / f"{number:03d}.png")
