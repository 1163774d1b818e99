"""Ray, as the tests of this folder start it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="session")
def _no_niceness() -> Iterator[None]:
    """Ray trains at a low priority, and so would wait for all other tests of this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_worker_niceness", "0")
        yield
