"""A search whose images have moved goes on in its own run folder."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantune.errors import RunError
from gantune.io.yaml_document import format_document
from gantune.run_folder.run import RunFolder
from gantune.tuner.options import Options
from gantune.tuner.prepare import Search, prepare
from tests.canned import run_info
from tests.data.making import noise
from tests.tuner.searches import SPACE, Listener


@pytest.fixture
def space(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A space whose images are ``images.npy`` beside it."""
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "images.npy", noise(64, 16, 16))
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE.replace("source: digits", "source: images.npy"))
    return path


def begin(search: Search, folder: RunFolder, **changes: object) -> None:
    """Writes what ``search`` writes before its first trial."""
    assert search.real is not None
    folder.path.mkdir(parents=True)
    folder.space.write_text(format_document(search.space.resolved_tree()))
    data = search.real.learned.summary()
    folder.info.write_text(json.dumps(run_info(study="tiny", data=data) | changes))


def prepared(space: Path, observer: Listener | None = None, **options: object) -> Search:
    given = Options(device="cpu", workers=1, **options)  # type: ignore[arg-type]
    return prepare(space, given, observer or Listener())


def test_it_goes_on_with_data_at_the_new_place(space: Path, tmp_path: Path) -> None:
    begin(prepared(space), RunFolder(Path("runs/tiny")))
    shutil.move(tmp_path / "images.npy", tmp_path / "moved.npy")
    observer = Listener()
    search = prepared(space, observer, data="moved.npy")
    assert search.folder.path == Path("runs/tiny")
    assert search.config.data is not None
    assert search.config.data.source == str(tmp_path / "moved.npy")
    assert any("same images at another place" in line for line in observer.lines)
    assert prepared(space, data="moved.npy", out="new").folder.path == Path("new")


def test_other_images_or_another_space_are_another_run(space: Path, tmp_path: Path) -> None:
    begin(prepared(space), RunFolder(Path("runs/tiny")))
    np.save(tmp_path / "other.npy", noise(64, 16, 16, seed=1))
    np.save(tmp_path / "same.npy", noise(64, 16, 16))
    assert prepared(space, data="other.npy").folder.path != Path("runs/tiny")
    assert prepared(space, data="same.npy", kimg=0.2).folder.path != Path("runs/tiny")
    assert prepared(space, data="same.npy", trials=9).folder.path == Path("runs/tiny")
    RunFolder(Path("runs/tiny")).info.write_text("{}")
    assert prepared(space, data="same.npy").folder.path != Path("runs/tiny")


def test_the_newest_of_several_goes_on(space: Path, tmp_path: Path) -> None:
    first = prepared(space)
    begin(first, RunFolder(Path("runs/tiny")), begun=1.0)
    begin(first, RunFolder(Path("runs/tiny-abcdef")), begun=2.0)
    np.save(tmp_path / "same.npy", noise(64, 16, 16))
    assert prepared(space, data="same.npy").folder.path == Path("runs/tiny-abcdef")


def test_renamed_classes_are_told_before_any_score(space: Path, tmp_path: Path) -> None:
    for place, names in (("pets", ("cat", "dog")), ("renamed", ("kitten", "dog"))):
        for name, seed in zip(names, (1, 2), strict=True):
            (tmp_path / place / name).mkdir(parents=True)
            for number, pixels in enumerate(noise(32, 16, 16, seed=seed)):
                Image.fromarray(pixels).save(tmp_path / place / name / f"{number}.png")
    begin(prepared(space, data="pets"), RunFolder(Path("runs/tiny")))
    with pytest.raises(RunError) as error:
        prepared(space, data="renamed", out="runs/tiny")
    assert "classes then: cat, dog; now: dog, kitten; rename them back if only names" in str(
        error.value
    )
    assert content_hashes(str(error.value)) == []
    assert prepared(space, data="pets", out="runs/tiny").folder.path == Path("runs/tiny")


def content_hashes(text: str) -> list[str]:
    return re.findall(r"[0-9a-f]{40,}", text)
