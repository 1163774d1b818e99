"""What was found in a source of images is told by every command that uses it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from rich.console import Console

from gantune.report.terminal.summary import print_data
from gantune.run_folder.run import RunFolder
from tests.canned import run_info
from tests.cli.conftest import Run
from tests.data.making import noise
from tests.tuner.searches import SPACE

FOUND = "24 images from {}: 2 classes (cat, dog), 1 file not looked at (1 no image: notes.txt)"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Two classes of images, and a file that is none."""
    folder = tmp_path / "pets"
    for label, name in enumerate(("cat", "dog")):
        (folder / name).mkdir(parents=True)
        for index, pixels in enumerate(noise(12, 16, 16, seed=label)):
            Image.fromarray(pixels).save(folder / name / f"{index}.png")
    (folder / "notes.txt").write_text("not an image")
    return folder


def text_of(*parts: str) -> str:
    """Text without the line breaks of a terminal or a page."""
    return " ".join(" ".join(parts).split())


@pytest.mark.integration
@pytest.mark.usefixtures("forked_workers")
def test_every_command_says_what_it_found(run: Run, images: Path, tmp_path: Path) -> None:
    space = tmp_path / "tiny.yaml"
    space.write_text(
        SPACE.replace("source: digits", "source: pets")
        .replace("objective: {", "objective: {extractor: random, ")
        .replace("trials: 3", "trials: 1")
        .replace("top: 1", "top: 0")
    )
    begin = ("search", "tiny.yaml", "--workers", "1", "--device", "cpu", "--out", "runs/tiny")
    samples = ("evaluate", "pets", "--data", "pets", "--extractor", "random", "--samples", "16")
    for name, command in {
        "dry run": (*begin, "--dry-run"),
        "search": begin,
        "resumed search": (*begin, "--trials", "2"),
        "train": ("train", "tiny#0", "--kimg", "0.1", "--out", "again", "--device", "cpu"),
        "evaluate": (*samples, "--device", "cpu"),
        "doctor": ("doctor", "--data", "pets"),
        "status": ("status", "tiny"),
    }.items():
        code, out, err = run(*command)
        told = text_of(out, err)
        source = "pets" if name in ("doctor", "evaluate") else str(images)
        assert FOUND.format(source).replace(" ", "") in told.replace(" ", ""), (name, out, err)
        assert code == 0 or name == "doctor", (name, err)
    folder = RunFolder(tmp_path / "runs/tiny")
    info = json.loads(folder.info.read_text())["data"]
    assert info["found"] == FOUND.format(images) and info["classes"] == {"cat": 12, "dog": 12}
    assert json.loads((tmp_path / "again/data.json").read_text())["found"] == info["found"]
    assert FOUND.format(images) in text_of(folder.log.read_text())
    assert FOUND.format(images) in text_of(folder.report.read_text())


@pytest.mark.parametrize(
    ("classes", "rows"),
    [
        ({}, []),
        ({"cat": 1200, "dog": 7}, ["0 cat 1,200", "1 dog 7"]),
        ({"[red]": 1, "10": 2}, ["0 [red] 1", "1 10 2"]),
        ({f"c{n}": 1 for n in range(300)}, ["0 c0 1", "29 c29 1", "... 270 more"]),
    ],
)
def test_status_has_a_table_of_classes(
    tmp_path: Path, classes: dict[str, int], rows: list[str]
) -> None:
    """By the numbers that ``sample --class`` takes."""
    folder = RunFolder(tmp_path)
    data = {"found": "9 images from pets: what was found", "classes": classes}
    about = {"source": "pets", "images": 9, "content_hash": "d"}
    folder.info.write_text(json.dumps(run_info(data=data | about)))
    console = Console(width=100, record=True)
    print_data(console, folder)
    shown = [" ".join(line.split()) for line in console.export_text().splitlines()]
    assert shown[0] == data["found"]
    assert all(row in shown for row in rows)
    assert ("class name images" in shown) == bool(classes)
    assert len(shown) < 60
