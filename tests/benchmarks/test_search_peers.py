"""gantune's search beside a plain script: what is measured, kept and written."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from benchmarks import search_peers
from benchmarks.search_peers import Judge, main, make_judge
from gantune.data import ImageSet


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The searches that were begun; gantune's takes longer than it may, the script's not."""
    begun: list[tuple[Any, ...]] = []
    clock = [0.0]

    def side(name: str, takes: float) -> Any:
        def run(place: Any, data: str, seed: int, seconds: float, folder: Path) -> Path | None:
            begun.append((place.name, name, seed, seconds))
            clock[0] += takes
            return None if name == "script" and seed == 1 else Path(f"{name}-{seed}")

        return run

    sides = {"gantune": side("gantune", 70.0), "script": side("script", 70.0)}
    monkeypatch.setattr(search_peers, "SIDES", sides)
    monkeypatch.setattr(search_peers, "time", SimpleNamespace(time=lambda: clock[0]))
    monkeypatch.setattr(search_peers, "load_real_images", lambda *_: SimpleNamespace(learned=None))
    monkeypatch.setattr(search_peers, "make_judge", lambda *_: None)
    monkeypatch.setattr(search_peers, "scoring", lambda *_: None)
    monkeypatch.setattr(
        search_peers, "distance", lambda *given: 5.0 if "gantune" in given[2].name else 20.0
    )
    return begun


def test_searches_take_turns_and_the_script_gets_the_time_that_gantune_took(
    tmp_path: Path, runs: list[tuple[Any, ...]]
) -> None:
    given = ["--data", "fashion=x", "--seconds", "60", "--seeds", "2", "--work", str(tmp_path)]
    main(given, tmp_path / "results")
    assert runs == [
        ("fashion", "gantune", 0, 60),
        ("fashion", "script", 0, 70),
        ("fashion", "gantune", 1, 60),
        ("fashion", "script", 1, 70),
    ]
    text = (tmp_path / "results" / "search_peers_cpu.md").read_text(encoding="utf-8")
    assert "| 0 | 5.0 | 20.0 | 0.25 |" in text
    assert "| 1 | 5.0 | none | - |" in text
    assert "mean of the ratios: 0.25" in text
    tree = json.loads((tmp_path / "results" / "search_peers_cpu.json").read_text())
    assert tree["fashion"]["script"]["distance"] == [20.0, None]


@pytest.mark.usefixtures("runs")
def test_other_images_keep_their_figures(tmp_path: Path) -> None:
    for name, seconds in (("fashion", "60"), ("cifar", "90")):
        given = ["--data", f"{name}=x", "--seconds", seconds, "--seeds", "1"]
        main([*given, "--work", str(tmp_path)], tmp_path / "results")
    tree = json.loads((tmp_path / "results" / "search_peers_cpu.json").read_text())
    assert {name: sides["given"] for name, sides in tree.items()} == {"fashion": 60, "cifar": 90}
    text = (tmp_path / "results" / "search_peers_cpu.md").read_text(encoding="utf-8")
    assert "`fashion`**, 60 seconds each" in text and "`cifar`**, 90 seconds each" in text


def test_what_has_ended_is_not_searched_again(tmp_path: Path, runs: list[tuple[Any, ...]]) -> None:
    given = ["--data", "fashion=x", "--seconds", "60", "--work", str(tmp_path), "--seeds"]
    main([*given, "1"], tmp_path / "results")
    runs.clear()
    (tmp_path / "fashion_script_0.json").unlink()
    main([*given, "1"], tmp_path / "results")
    assert runs == [("fashion", "script", 0, 70)]


@pytest.mark.parametrize("text", ["fashion", "fashion=", "faces=x"])
def test_images_are_named_with_their_table(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        main(["--data", text])
    assert refused.value.code == 2
    assert "is not TABLE=PATH; tables: digits, fashion, cifar" in capsys.readouterr().err


@pytest.mark.integration
def test_a_judge_is_trained_once(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(64) % 2
    pixels = rng.integers(0, 100, (64, 1, 8, 8)) + 150 * labels[:, None, None, None]
    array = pixels.clip(0, 255).astype(np.uint8)
    images = ImageSet(array, "x", "hash", labels=labels, classes=("dark", "bright"))
    first = make_judge(images, tmp_path / "judge.pt", passes=60)
    features = first(torch.tensor(array))
    assert features.shape == (64, 128)
    right = first.head(features).argmax(dim=1) == torch.tensor(labels)
    assert right.float().mean() > 0.9
    second = make_judge(images, tmp_path / "judge.pt")
    assert isinstance(second, Judge)
    assert torch.equal(second(torch.tensor(array)), features)
