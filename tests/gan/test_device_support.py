"""When the networks compute in bfloat16."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
import torch
from packaging.requirements import Requirement
from packaging.version import Version

from gantune.gan.device_support import compute_dtype
from tests.gan.builders import config_of

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("found", "dtype"),
    [
        ({"avx512_bf16": True}, torch.bfloat16),
        ({"amx_bf16": True}, torch.bfloat16),
        ({"avx512_bf16": False, "avx2": True}, torch.float32),
        ({}, torch.float32),
    ],
)
def test_auto_follows_the_processor(
    monkeypatch: pytest.MonkeyPatch, found: dict[str, bool], dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert compute_dtype(config_of(precision="auto"), CPU) == dtype
    assert compute_dtype(config_of("mlp", precision="auto"), CPU) == torch.float32


def test_what_is_asked_for_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {})
    assert compute_dtype(config_of(precision="bf16"), CPU) == torch.bfloat16
    assert compute_dtype(config_of(precision="fp32"), CPU) == torch.float32


def test_no_older_torch_is_admitted_than_is_tested() -> None:
    """Two are: the one in ``constraints.txt``, and the one beside torchvision in the Makefile."""
    root = Path(__file__).parents[2]
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    (admitted,) = (r for r in map(Requirement, project["dependencies"]) if r.name == "torch")
    lines = (root / "constraints.txt").read_text().splitlines()
    (newest,) = (line.partition("==")[2] for line in lines if line.startswith("torch=="))
    (oldest,) = re.findall(r"'torch==([\d.]+)\.\*'", (root / "Makefile").read_text())
    assert newest in admitted.specifier and oldest in admitted.specifier
    below = f"{Version(oldest).major}.{Version(oldest).minor - 1}"
    assert below not in admitted.specifier
