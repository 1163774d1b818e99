"""Fixtures for tests that run whole searches."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tuner.searches import SPACE


@pytest.fixture
def tiny_space(tmp_path: Path) -> Path:
    """The file of a space that is searched in seconds."""
    path = tmp_path / "tiny.yaml"
    path.write_text(SPACE)
    return path


@pytest.fixture
def one_core() -> Iterator[None]:
    """Restricts the test to one core: single-threaded workers never wait for each other."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    yield
    os.sched_setaffinity(0, cores)
