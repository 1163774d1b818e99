"""The measurement of a GPU, tried on the CPU with the smallest numbers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from benchmarks import gpu


@pytest.mark.integration
def test_every_part_is_measured_and_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def no_compiler(*_: Any, **__: Any) -> None:
        raise RuntimeError("no compiler here")

    least = {"CASES": [(32, 4)], "BATCH": 8, "WORKERS": (1, 2), "ROUNDS": 1, "SCORED": 2}
    for name, value in least.items():
        monkeypatch.setattr(gpu, name, value)
    monkeypatch.setattr(nn.Module, "compile", no_compiler)
    parts = ["steps", "workers", "scoring"]
    gpu.main(["--device", "cpu", "--seconds", "0.01", "--out", str(tmp_path), "--parts", *parts])
    tree = json.loads((tmp_path / "gpu_cpu.json").read_text())
    (steps,) = tree["steps"]
    assert steps["plain loop, compiled"] == "RuntimeError: no compiler here"
    assert min(steps[f"{way}, {p}"] for way in ("each step", "recorded") for p in ("fp32", "bf16"))
    assert [row["workers"] for row in tree["workers"]] == [1, 2]
    assert all(row["trials_an_hour"] > 0 for row in tree["workers"])
    assert {row["network"] for row in tree["scoring"]} == {"random", "dinov2-b14"}
    text = (tmp_path / "gpu_cpu.md").read_text()
    assert "recorded beside each step" in text and "no GPU" in text
    assert text.partition("\n\n")[2] in capsys.readouterr().out


def test_without_a_gpu_it_says_so() -> None:
    with pytest.raises(SystemExit, match="no CUDA device here"):
        gpu.main([])
